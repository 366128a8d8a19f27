"""One message in Slack for each incident, edited in place, with a thread for its steps.

Slack takes no key that would make posting twice harmless. So each message bears the id of its incident as metadata, and
a post of which nobody knows how it ended is looked for before it is made again.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.client import HTTPException
from typing import Annotated, Any

from pydantic import AfterValidator, Field, StringConstraints
from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.signature import Clock, SignatureVerifier

from reconciler.core.notices import Notice
from reconciler.core.outbox import Manner, mood
from reconciler.core.times import MINUTE, SECOND, Micros
from reconciler.notifiers import _http
from reconciler.notifiers._alerts import key_of
from reconciler.notifiers._blocks import blocks, fallback, step_blocks, step_text
from reconciler.posting import Letter, NotifyFailed
from reconciler.settings.notifying import NotifierOptions, Secret
from reconciler.settings.schema import Positive

Answer = Mapping[str, Any]
EVENT = "reconciler_incident"
"""`event_type` of the metadata of messages, and, with `_step`, of those of their threads."""
EARLIER: Micros = 5 * MINUTE
"""How far Slack's clock may be behind ours."""
STEP_EVERY: Micros = 30 * MINUTE
"""A thread hears of growing numbers no more often; of another status or severity at once."""
PAGES, PAGE = 20, 200
"""So many messages are looked through for one of which nobody knows whether it arrived."""
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
_FOR_NOW = {
    "ratelimited", "rate_limited", "internal_error", "fatal_error", "service_unavailable", "request_timeout",
    "team_added_to_org", "org_login_required", "accesslimited", "message_limit_exceeded",
}  # fmt: skip
_REMEDIES = {
    "channel_not_found": "check `channel`, and invite the app into it",
    "not_in_channel": "invite the app into the channel: /invite @its-name",
    "is_archived": "the channel is archived; name another",
    "missing_scope": "give the app this scope and install it again",
    "invalid_auth": "check `token`",
    "not_authed": "check `token`",
    "account_inactive": "the app was removed; install it again",
    "token_revoked": "the token was revoked; install the app again",
    "token_expired": "the token has expired; make a new one",
    "restricted_action": "an administrator of Slack keeps this channel for others",
}


def _api(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("is no address such as https://slack.com/api/")
    return url if url.endswith("/") else f"{url}/"


class Options(NotifierOptions):
    """A bot of an app that is installed in the workspace. It needs the scopes chat:write and channels:history (of a
    private channel groups:history), and files:write for pictures.
    """

    token: Secret
    """Of the bot: xoxb-..."""
    channel: Annotated[str, StringConstraints(pattern=r"^[CGD][A-Z0-9]{6,}$")]
    """Id of the channel, which Slack shows at the end of the channel's details; its name can change."""
    signing_secret: Secret | None = None
    """Of the app: then messages have buttons to acknowledge and to mute. Slack calls POST /slack/actions of the
    service, which must be reachable from there."""
    digest_above: Annotated[Positive, Field(ge=2)] = 20
    """Where more incidents are open, new ones that page nobody share one message."""
    pictures: bool = True
    """Whether a chart is put into the thread, where matplotlib is installed and the token may upload files."""
    api: Annotated[str, AfterValidator(_api)] = "https://slack.com/api/"
    """Another for Slack's own clouds of governments."""


def build(name: str, options: Options) -> "Slack":
    """The notifier as configured; it connects when it has something to say."""
    return Slack(name, options)


@dataclass(frozen=True, slots=True)
class Slack:
    """One channel of one workspace."""

    name: str
    options: Options
    _clients: list[WebClient] = field(default_factory=list, repr=False)

    @property
    def manner(self) -> Manner:
        """It edits, and shows a digest where there is too much."""
        return self.options.manner(digest_above=self.options.digest_above)

    def send(self, letter: Letter) -> Answer:
        """Post or edit the message, then say in its thread what is new."""
        notice = letter.notice
        known = dict(letter.reference)
        if not known and letter.doubt_since:
            known = self._find(letter)
        begun = bool(known)
        known = self._edit(letter, known) if begun else self._post(letter)
        news = mood(notice)
        due = letter.now - int(known.get("stepped_at", 0)) >= STEP_EVERY and bool(notice.changed)
        if begun and not letter.again and (known.get("mood") != news or due):
            self._step(letter, known)
            known["stepped_at"] = letter.now
        return known | {"mood": news}

    def check(self) -> str:
        """Who it is, and whether it sees the channel that it is to write to."""
        who = self._ask("auth.test", {})
        place = {"channel": self.options.channel, "limit": 1}
        self._ask("conversations.history", place)
        return f"is {who.get('user', 'a bot')} in {who.get('team', 'a workspace')}, and reads {self.options.channel}"

    @property
    def pictures(self) -> bool:
        """Whether charts are wanted in the threads."""
        return self.options.pictures

    def attach(self, reference: Answer, picture: bytes, title: str) -> None:
        """Put a picture into the thread of a message. Raises `NotifyFailed`."""
        if "ts" not in reference:
            return

        def upload(client: WebClient) -> Any:
            return client.files_upload_v2(
                channel=self.options.channel, thread_ts=str(reference["ts"]), content=picture,
                filename="incident.png", title=title,
            ).data  # fmt: skip

        self._with_client("files.upload", upload)

    def genuine(self, body: bytes, timestamp: str, signature: str, now: Micros) -> bool:
        """Whether Slack itself sent this, not more than five minutes ago."""
        secret = self.options.signing_secret
        if secret is None or not timestamp.isascii() or not timestamp.isdigit() or len(timestamp) > 12:
            return False
        verifier = SignatureVerifier(secret.get_secret_value(), _Fixed(now))
        return bool(verifier.is_valid(body, timestamp, signature))

    def _post(self, letter: Letter) -> dict[str, Any]:
        answer = self._message("chat.postMessage", letter.notice, {})
        return {"ts": str(answer["ts"]), "mood": mood(letter.notice), "stepped_at": letter.now}

    def _edit(self, letter: Letter, known: dict[str, Any]) -> dict[str, Any]:
        try:
            self._message("chat.update", letter.notice, {"ts": known["ts"]})
        except _Gone:  # somebody has deleted it: people are told all the same
            return self._post(letter)
        return known

    def _message(self, method: str, notice: Notice, place: Answer) -> Answer:
        shown = {
            "channel": self.options.channel,
            "text": fallback(notice),
            "metadata": {"event_type": EVENT, "event_payload": {"incident": key_of(notice.id), "mood": mood(notice)}},
            "unfurl_links": False,
        } | dict(place)
        built = blocks(notice, buttons=self.options.signing_secret is not None)
        try:
            return self._call(method, shown | {"blocks": built})
        except _BadBlocks:  # better plain than not at all
            return self._call(method, shown | {"blocks": []})

    def _step(self, letter: Letter, known: Answer) -> None:
        """One line in the thread; once, whatever happened to an earlier try."""
        notice, label = letter.notice, f"{key_of(letter.notice.id)}/{letter.version}"
        place = {"channel": self.options.channel, "ts": known["ts"]}
        try:
            if letter.doubt_since and self._search("conversations.replies", place, f"{EVENT}_step", "step", label):
                return
            metadata = {"event_type": f"{EVENT}_step", "event_payload": {"step": label}}
            said = {"text": step_text(notice), "blocks": step_blocks(notice), "metadata": metadata}
            self._call("chat.postMessage", {"channel": self.options.channel, "thread_ts": known["ts"]} | said)
        except NotifyFailed as failure:
            failure.reference = known  # the message itself stands, and is found again without a search
            raise

    def _find(self, letter: Letter) -> dict[str, Any]:
        """The message of an earlier try, if it arrived."""
        place = {"channel": self.options.channel, "oldest": f"{(letter.doubt_since - EARLIER) / SECOND:.6f}"}
        found = self._search("conversations.history", place, EVENT, "incident", key_of(letter.notice.id))
        if found is None:
            return {}
        told = found["metadata"]["event_payload"].get("mood", "")
        return {"ts": str(found["ts"]), "mood": told, "stepped_at": letter.now}

    def _search(self, method: str, place: Answer, event: str, key: str, value: str) -> Answer | None:
        cursor = ""
        for _ in range(PAGES):
            asked = {**place, "include_all_metadata": True, "limit": PAGE} | ({"cursor": cursor} if cursor else {})
            answer = self._ask(method, asked)
            for message in answer.get("messages", ()):
                metadata = message.get("metadata") or {}
                if metadata.get("event_type") == event and metadata.get("event_payload", {}).get(key) == value:
                    return dict(message)
            cursor = (answer.get("response_metadata") or {}).get("next_cursor", "")
            if not cursor:
                break
        return None

    def _call(self, method: str, said: Answer) -> Answer:
        return self._with_client(method, lambda client: client.api_call(method, json=dict(said)).data)

    def _ask(self, method: str, asked: Answer) -> Answer:
        """The same of a method that only reads: Slack takes no JSON there."""
        return self._with_client(
            method, lambda client: client.api_call(method, http_verb="GET", params=dict(asked)).data
        )

    def _with_client(self, method: str, call: Callable[[WebClient], Any]) -> Answer:
        caller = _http.Caller(self.name, self.options.timeout, self._secrets())
        try:
            return dict(call(self._client()))
        except SlackApiError as error:
            raise self._refusal(caller, method, error) from None
        except SlackClientError as error:
            raise caller.failure(f"{method}: {type(error).__name__}") from None
        except (OSError, HTTPException, ValueError, TypeError) as error:
            raise caller.failure(f"{method}: {_http.why(error)}") from None

    def _client(self) -> WebClient:
        if not self._clients:
            options = self.options
            # The library would try again by itself where a connection breaks: a post that arrived would be made twice.
            client = WebClient(
                options.token.get_secret_value(), base_url=options.api, timeout=options.timeout / SECOND,  # type: ignore[arg-type]  # urllib takes fractions
                retry_handlers=[],
            )  # fmt: skip
            self._clients.append(client)
        return self._clients[0]

    def _secrets(self) -> list[str]:
        found = (self.options.token, self.options.signing_secret)
        return [secret.get_secret_value() for secret in found if secret is not None]

    def _refusal(self, caller: _http.Caller, method: str, error: SlackApiError) -> NotifyFailed:
        data = error.response.data if hasattr(error.response, "data") else error.response
        told = data if isinstance(data, dict) else {}
        code = str(told.get("error") or f"HTTP {getattr(error.response, 'status_code', '?')}")
        status = int(getattr(error.response, "status_code", 200) or 200)
        headers = {key.lower(): value for key, value in dict(getattr(error.response, "headers", {})).items()}
        retry_after = _http.seconds(str(headers.get("retry-after", "")) or None)
        for_now = code in _FOR_NOW or status >= 500 or status == _http.TOO_MANY or not told.get("error")
        needed = f" ({told['needed']})" if told.get("needed") else ""
        remedy = f"; {_REMEDIES[code]}" if code in _REMEDIES else ""
        failure = caller.failure(f"{method}: {code}{needed}{remedy}", retry_after, permanent=not for_now)
        special = _Gone if code in _GONE else _BadBlocks if code.startswith("invalid_blocks") else None
        return failure if special is None else special(failure.message, permanent=True)


class _Gone(NotifyFailed):
    """The message is there no more."""


class _BadBlocks(NotifyFailed):
    """Slack does not take the blocks, though they are within its limits."""


class _Fixed(Clock):
    """Slack's library asks for the time; here it is an argument."""

    def __init__(self, now: Micros) -> None:
        self._now = now

    def now(self) -> float:
        """Seconds since 1970."""
        return self._now / SECOND
