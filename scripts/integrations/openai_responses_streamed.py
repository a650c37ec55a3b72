import os
import sys

from openai import OpenAI

client = OpenAI(base_url=os.environ["MNEME_URL"] + "/v1", api_key=os.environ["MNEME_KEY"])
with client.responses.stream(model="mneme", input=sys.argv[1]) as stream:
    for event in stream:
        if event.type == "response.output_text.delta":
            print(event.delta, end="")
