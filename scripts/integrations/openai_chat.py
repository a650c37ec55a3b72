import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ["MNEME_URL"] + "/v1", api_key=os.environ["MNEME_KEY"])
lines = [{"role": "user", "content": sys.argv[1]}]
print(client.chat.completions.create(model="mneme", messages=lines).choices[0].message.content)
