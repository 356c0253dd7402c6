"""The official openai client against `agrl serve`. Usage: serve_openai.py URL (token as in test_serve.sh)."""
import json
import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="0123456789abcdef0123", max_retries=0)
model = client.models.list().data[0].id
assert client.models.retrieve(model).id == model
pair = json.dumps({"query": "red boots", "item": {"title": "Boots", "attributes": {"colour": "red"}}})
ask = lambda **more: client.chat.completions.create(model=model, messages=[{"role": "user", "content": pair}], **more)
answer = ask()
assert answer.choices[0].finish_reason == "stop" and answer.choices[0].message.content[0] in "1234"
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
assert ask(temperature=1, seed=3).choices[0].message.content == ask(temperature=1, seed=3).choices[0].message.content
content = json.loads(ask(response_format={"type": "json_object"}).choices[0].message.content)
assert content["tier"] in "1234" and isinstance(content["consistent"], bool)
schema = {"type": "object", "properties": {"tier": {"type": "string"}, "rule": {"type": ["string", "null"]}},
          "required": ["tier", "rule"], "additionalProperties": False}
content = json.loads(ask(response_format={"type": "json_schema", "json_schema": {
    "name": "judgement", "strict": True, "schema": schema}}).choices[0].message.content)
assert set(content) == {"tier", "rule"}
assert ask(max_tokens=1).choices[0].finish_reason == "length"
for more, param in (({"stream": True}, "stream"), ({"n": 2}, "n"), ({"logprobs": True}, "logprobs")):
    try:
        ask(**more)
        raise SystemExit(f"{more} was taken")
    except openai.BadRequestError as e:
        assert e.param == param, e
try:
    client.chat.completions.create(model="other", messages=[{"role": "user", "content": pair}])
    raise SystemExit("another model was taken")
except openai.NotFoundError:
    pass
try:
    openai.OpenAI(base_url=sys.argv[1] + "/v1", api_key="wrong", max_retries=0).models.list()
    raise SystemExit("a wrong key was taken")
except openai.AuthenticationError:
    pass
print("ok")
