import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ["MNEME_URL"] + "/v1", api_key=os.environ["MNEME_KEY"])
lines = [{"role": "user", "content": sys.argv[1]}]
for chunk in client.chat.completions.create(model="mneme", messages=lines, stream=True):
    print(chunk.choices[0].delta.content or "", end="")
