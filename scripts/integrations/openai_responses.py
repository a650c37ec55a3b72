import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ["MNEME_URL"] + "/v1", api_key=os.environ["MNEME_KEY"])
print(client.responses.create(model="mneme", input=sys.argv[1]).output_text)
