import os
import sys

from langchain_openai import ChatOpenAI

model = ChatOpenAI(model="mneme", base_url=os.environ["MNEME_URL"] + "/v1", api_key=os.environ["MNEME_KEY"])
for chunk in model.stream(sys.argv[1]):
    print(chunk.text, end="")
