"""Runs the Python packages `text-generation` and `huggingface_hub`, unmodified, against our server with the embedded model.

    npm run build
    python -m venv SCRATCH && SCRATCH/bin/pip install text-generation==0.7.0 "huggingface_hub<1.0" aiohttp
    SCRATCH/bin/python python_clients.py

`text-generation` needs a huggingface_hub before 1.0; run it again where a newer one is installed, without `text-generation`, to
check that too. What is not installed is named and left out.
"""

import asyncio
import importlib.metadata
import json
import subprocess
import threading
import warnings
from pathlib import Path

MAIN = Path(__file__).resolve().parents[2] / "dist" / "cli" / "main.js"
PROMPT = "Once upon a time"
CHAT = [{"role": "user", "content": "What is a river?"}]
TOO_MANY = 1_000_000

warnings.simplefilter("ignore")


def raises(kind: type, call, *args, **kwargs) -> Exception:
    try:
        result = call(*args, **kwargs)
        if hasattr(result, "__next__"):
            list(result)
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


async def araises(kind: type, awaitable) -> None:
    try:
        result = await awaitable if hasattr(awaitable, "__await__") else awaitable
        if hasattr(result, "__anext__"):
            async for _ in result:
                pass
    except kind:
        return
    raise AssertionError(f"no {kind.__name__}")


def text_generation(url: str) -> None:
    from text_generation import Client
    from text_generation.errors import ValidationError

    client = Client(url, timeout=60)
    one = client.generate("test", max_new_tokens=1, decoder_input_details=True)
    assert one.details.finish_reason == "length" and one.details.generated_tokens == 1
    assert one.details.seed is None and len(one.details.tokens) == 1 and not one.details.tokens[0].special
    assert len(one.details.prefill) > 0 and one.details.prefill[0].logprob is None

    drawn = client.generate(PROMPT, max_new_tokens=5, best_of=2, do_sample=True)
    assert drawn.details.seed is not None
    assert len(drawn.details.best_of_sequences) == 1 and drawn.details.best_of_sequences[0].seed is not None

    top = client.generate(PROMPT, max_new_tokens=3, top_n_tokens=2)
    assert [len(tokens) for tokens in top.details.top_tokens] == [2, 2, 2]

    whole = client.generate(PROMPT, max_new_tokens=8)
    events = list(client.generate_stream(PROMPT, max_new_tokens=8))
    assert len(events) == 8 and events[-1].generated_text == whole.generated_text
    assert events[-1].details.generated_tokens == 8 and events[0].details is None
    (only,) = client.generate_stream("test", max_new_tokens=1)
    assert only.generated_text is not None and only.details.finish_reason == "length"

    raises(ValidationError, client.generate, "test", max_new_tokens=TOO_MANY)
    raises(ValidationError, client.generate_stream, "test", max_new_tokens=TOO_MANY)

    chat = client.chat(chat_messages(), max_tokens=8, temperature=0.5, seed=3, logprobs=True, top_logprobs=2)
    assert chat.choices[0].message.content and chat.usage["completion_tokens"] <= 8, chat
    if hasattr(client, "completion"):
        completion = client.completion(PROMPT, max_tokens=5)
        assert completion.choices[0].text and completion.choices[0].finish_reason == "length"


def chat_messages():
    from text_generation.types import Message

    return [Message(**message) for message in CHAT]


async def text_generation_async(url: str) -> None:
    from text_generation import AsyncClient
    from text_generation.errors import ValidationError

    client = AsyncClient(url, timeout=60)
    whole = await client.generate(PROMPT, max_new_tokens=8)
    events = [event async for event in client.generate_stream(PROMPT, max_new_tokens=8)]
    assert events[-1].generated_text == whole.generated_text
    await araises(ValidationError, client.generate("test", max_new_tokens=TOO_MANY))
    await araises(ValidationError, client.generate_stream("test", max_new_tokens=TOO_MANY))
    # Chats are not streamed here: the released package wants `tool_calls` in every piece, which the reference server does not send.
    chat = await client.chat(chat_messages(), max_tokens=8)
    assert chat.choices[0].message.role == "assistant"
    many = await asyncio.gather(*(client.generate(PROMPT, max_new_tokens=8) for _ in range(8)))
    assert {answer.generated_text for answer in many} == {whole.generated_text}


def hub(url: str) -> None:
    from huggingface_hub import InferenceClient

    for client in (InferenceClient(url), InferenceClient(base_url=url, api_key="any"), InferenceClient(base_url=f"{url}/v1/", api_key="any")):
        whole = client.chat_completion(CHAT, max_tokens=8, temperature=0)
        pieces = client.chat_completion(CHAT, max_tokens=8, temperature=0, stream=True)
        text = "".join(chunk.choices[0].delta.content for chunk in pieces if chunk.choices)
        assert text == whole.choices[0].message.content
        again = client.chat.completions.create(model="tgi", messages=CHAT, max_tokens=8, temperature=0)
        assert again.choices[0].message.content == text
        raises(Exception, client.chat_completion, CHAT, max_tokens=TOO_MANY)

    client = InferenceClient(url)
    # POST / puts the prompt in front unless told otherwise.
    short = {"max_new_tokens": 8, "return_full_text": False}
    assert client.text_generation(PROMPT, max_new_tokens=1).startswith(PROMPT)
    text = client.text_generation(PROMPT, **short)
    details = client.text_generation(PROMPT, **short, details=True)
    assert details.generated_text == text and details.details.generated_tokens == 8
    assert "".join(client.text_generation(PROMPT, **short, stream=True)) == text
    last = list(client.text_generation(PROMPT, **short, stream=True, details=True))[-1]
    assert last.generated_text == text and last.details.finish_reason == "length"
    try:
        from huggingface_hub.errors import ValidationError
    except ImportError:
        from huggingface_hub.inference._text_generation import ValidationError
    raises(ValidationError, client.text_generation, PROMPT, max_new_tokens=TOO_MANY)
    raises(ValidationError, client.text_generation, PROMPT, max_new_tokens=TOO_MANY, stream=True)
    own = InferenceClient(url, provider="hf-inference")
    assert own.get_endpoint_info()["model_id"] and own.health_check()


async def hub_async(url: str) -> None:
    try:
        from huggingface_hub import AsyncInferenceClient
    except ImportError as error:
        print(f"   (no AsyncInferenceClient: {error})")
        return
    client = AsyncInferenceClient(url)
    short = {"max_new_tokens": 8, "return_full_text": False}
    text = await client.text_generation(PROMPT, **short)
    pieces = [piece async for piece in await client.text_generation(PROMPT, **short, stream=True)]
    assert "".join(pieces) == text
    chunks = [chunk async for chunk in await client.chat_completion(CHAT, max_tokens=8, stream=True)]
    assert chunks[-1].choices[0].finish_reason


def main() -> None:
    argv = ["node", MAIN, "serve", "--port", "0", "--json-output", "true"]
    server = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        url = next(line.split("serving on ")[1] for line in map(message, server.stdout) if "serving on " in line)
        # A log that nobody reads would stop the server once the pipe is full.
        threading.Thread(target=server.stdout.read, daemon=True).start()
        ran = 0
        for package, checks in {"text-generation": [text_generation, text_generation_async], "huggingface_hub": [hub, hub_async]}.items():
            try:
                version = importlib.metadata.version(package)
            except importlib.metadata.PackageNotFoundError:
                print(f"-- {package} is not installed")
                continue
            for check in checks:
                result = check(url)
                if result is not None:
                    asyncio.run(result)
                print(f"ok {package} {version}: {check.__name__}")
                ran += 1
        if ran == 0:
            raise SystemExit("nothing was checked")
    finally:
        server.terminate()
        server.wait(30)


def message(line: str) -> str:
    try:
        return json.loads(line).get("message", "")
    except ValueError:
        return line


if __name__ == "__main__":
    main()
