import os
import sys

from langchain_openai import ChatOpenAI

model = ChatOpenAI(
    model="mneme",
    base_url=os.environ["MNEME_URL"] + "/v1",
    api_key=os.environ["MNEME_KEY"],
    use_responses_api=True,
)
print(model.invoke(sys.argv[1]).text)
