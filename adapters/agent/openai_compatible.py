"""Any endpoint that speaks OpenAI's chat completions (a hosted provider, Ollama, vLLM), through pydantic-ai.

Only its direct model interface is used: the loop round it is ours and durable, and so are the retries, which are
switched off here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import TYPE_CHECKING, Final

from adapters.models import Provider, register_model
from domain.agent import ChatMessage, ModelEvent, ModelRequest, Role, TextDelta, ToolCall, ToolSpec, Usage
from domain.errors import ModelError

if TYPE_CHECKING:
    from pydantic_ai.exceptions import ModelHTTPError
    from pydantic_ai.messages import ModelMessage, ModelRequestPart, ModelResponsePart
    from pydantic_ai.models import ModelRequestParameters, StreamedResponse
    from pydantic_ai.settings import ModelSettings

_TIMEOUT_S: Final = 120.0
_RETRYABLE: Final = frozenset({408, 409, 425, 429})
_ADVICE: Final = {
    401: "the key is not accepted; set POWERNODE_AGENT_API_KEY",
    403: "the key may not use this model",
    404: "there is no such model or address; check the agent's model and POWERNODE_AGENT_BASE_URL",
    429: "the provider asks to slow down",
}


@register_model("openai_compatible")
class OpenAICompatibleModel:
    """The adapter. Raises ModelError (final) when no address is configured."""

    def __init__(self, provider: Provider) -> None:
        if not provider.base_url:
            raise ModelError("No model provider is configured; set POWERNODE_AGENT_BASE_URL", retryable=False)
        from openai import AsyncOpenAI
        from pydantic_ai.providers.openai import OpenAIProvider

        client = AsyncOpenAI(
            base_url=provider.base_url,
            # The client insists on a key; local endpoints need none.
            api_key=provider.api_key or "none",
            http_client=provider.http,
            max_retries=0,
            timeout=_TIMEOUT_S,
        )
        self._provider = OpenAIProvider(openai_client=client)

    async def stream(self, request: ModelRequest) -> AsyncIterator[ModelEvent]:
        """Stream one request. Raises ModelError."""
        import httpx2
        from pydantic_ai.direct import model_request_stream
        from pydantic_ai.exceptions import (
            AgentRunError,
            ContentFilterError,
            ModelHTTPError,
            ModelRequestRejectedError,
            UserError,
        )
        from pydantic_ai.models.openai import OpenAIChatModel
        from pydantic_ai.profiles.openai import OpenAIModelProfile

        # A stream that ends without its finish reason was cut off, and half an answer is none.
        profile = OpenAIModelProfile(openai_chat_streaming_requires_finish_reason=True)
        model = OpenAIChatModel(request.model, provider=self._provider, profile=profile)
        try:
            async with model_request_stream(
                model,
                _messages(request.messages),
                model_settings=_settings(request),
                model_request_parameters=_parameters(request.tools),
                instrument=False,
            ) as response:
                async for text in _deltas(response):
                    yield TextDelta(text)
                for event in _rest(response):
                    yield event
        except ModelHTTPError as error:
            raise _refused(error) from error
        except (ContentFilterError, ModelRequestRejectedError) as error:
            raise ModelError("The model provider refused the request", retryable=False) from error
        except (httpx2.HTTPError, AgentRunError) as error:
            raise ModelError(f"The model did not answer ({type(error).__name__})", retryable=True) from error
        except (UserError, ValueError) as error:
            raise ModelError(f"The request cannot be sent ({type(error).__name__})", retryable=False) from error


async def _deltas(response: StreamedResponse) -> AsyncIterator[str]:
    from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

    async for event in response:
        text = ""
        if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
            text = event.part.content
        elif isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
            text = event.delta.content_delta
        if text:
            yield text


def _rest(response: StreamedResponse) -> Iterator[ModelEvent]:
    """Return the finished tool calls and the usage."""
    from pydantic_ai.messages import ToolCallPart

    whole = response.get()
    for part in whole.parts:
        if isinstance(part, ToolCallPart):
            yield ToolCall(part.tool_call_id, part.tool_name, part.args_as_json_str())
    yield Usage(whole.usage.input_tokens, whole.usage.output_tokens)


def _messages(messages: tuple[ChatMessage, ...]) -> list[ModelMessage]:
    from pydantic_ai import messages as theirs

    names = {call.id: call.name for message in messages for call in message.tool_calls}
    history: list[ModelMessage] = []
    for message in messages:
        if message.role is Role.ASSISTANT:
            history.append(theirs.ModelResponse(parts=_said(message)))
        else:
            history.append(theirs.ModelRequest(parts=[_told(message, names)]))
    return history


def _said(message: ChatMessage) -> list[ModelResponsePart]:
    from pydantic_ai.messages import TextPart, ToolCallPart

    parts: list[ModelResponsePart] = [TextPart(message.content)] if message.content else []
    return parts + [ToolCallPart(call.name, call.arguments, tool_call_id=call.id) for call in message.tool_calls]


def _told(message: ChatMessage, names: dict[str, str]) -> ModelRequestPart:
    from pydantic_ai.messages import SystemPromptPart, ToolReturnPart, UserPromptPart

    if message.role is Role.SYSTEM:
        return SystemPromptPart(message.content)
    if message.role is Role.TOOL:
        call_id = message.tool_call_id or ""
        return ToolReturnPart(names.get(call_id, "tool"), message.content, tool_call_id=call_id)
    return UserPromptPart(message.content)


def _settings(request: ModelRequest) -> ModelSettings:
    from pydantic_ai.settings import ModelSettings

    settings = ModelSettings(timeout=_TIMEOUT_S)
    if request.max_tokens is not None:
        settings["max_tokens"] = request.max_tokens
    if request.temperature is not None:
        settings["temperature"] = request.temperature
    return settings


def _parameters(tools: tuple[ToolSpec, ...]) -> ModelRequestParameters:
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    return ModelRequestParameters(
        function_tools=[
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters or {"type": "object", "properties": {}},
            )
            for tool in tools
        ]
    )


def _refused(error: ModelHTTPError) -> ModelError:
    status = error.status_code
    advice = _ADVICE.get(status, "it failed" if status >= 500 else "it refused the request")
    wait = (error.headers or {}).get("retry-after", "")
    return ModelError(
        f"The model provider answered {status}: {advice}",
        retryable=status in _RETRYABLE or status >= 500,
        retry_after_s=float(wait) if wait.isascii() and wait.isdigit() else None,
    )
