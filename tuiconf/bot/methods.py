"""The control API as methods. Made of its schema by `python -m tuiconf.bot.generate`: do not edit."""

# ruff: noqa: A002

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal, TypeVar

import msgspec

from tuiconf.control import events, schema

R = TypeVar("R", bound=msgspec.Struct)


class Methods(ABC):
    """What a participant does. All raise `ControlError` where it cannot be, and `EngineGone` when the call is over."""

    @abstractmethod
    async def call(self, request: schema.Request[R]) -> R:
        """Do what the request says."""

    async def state_get(self) -> schema.State:
        """The state of the call: what a front end that comes later has to know."""
        return await self.call(schema.GetState())

    async def link_get(self) -> schema.Link:
        """The room's link, to invite someone."""
        return await self.call(schema.GetLink())

    async def leave(self, *, now: bool = False) -> schema.Done:
        """Leave the call, once what was typed is said; `now` does not wait for the others to take notice."""
        return await self.call(schema.Leave(now=now))

    async def chat_send(self, *, text: str) -> schema.Done:
        """Say a line of chat to everyone in the call."""
        return await self.call(schema.ChatSend(text=text))

    async def hand_raise(self) -> schema.Done:
        """Show everyone that one would like to speak."""
        return await self.call(schema.HandRaise())

    async def hand_lower(self) -> schema.Done:
        """No longer."""
        return await self.call(schema.HandLower())

    async def roster_get(self) -> schema.Roster:
        """Who is in the call."""
        return await self.call(schema.GetRoster())

    async def stats_get(self) -> schema.Stats:
        """How the call is doing."""
        return await self.call(schema.GetStats())

    async def mute(self) -> schema.Done:
        """Send nothing."""
        return await self.call(schema.Mute())

    async def unmute(self) -> schema.Done:
        """Send what the input gives."""
        return await self.call(schema.Unmute())

    async def ptt_down(self, *, hold_s: float | None = None, renew_s: float | None = None) -> schema.Done:
        """Be live although muted, until `ptt.up` or until this connection ends, and for two minutes at most."""
        return await self.call(schema.PushToTalkDown(hold_s=hold_s, renew_s=renew_s))

    async def ptt_up(self) -> schema.Done:
        """The key is up again. From a connection whose key is not down: every key is."""
        return await self.call(schema.PushToTalkUp())

    async def deafen(self) -> schema.Done:
        """Hear nothing, and send nothing."""
        return await self.call(schema.Deafen())

    async def undeafen(self) -> schema.Done:
        """Hear again. What was muted before stays muted."""
        return await self.call(schema.Undeafen())

    async def audio_set(
        self,
        *,
        input: str | None = None,
        output: str | None = None,
        gain_db: float | None = None,
        voice_activation: bool | None = None,
        participant: int | str | None = None,
        volume_db: float | None = None,
        muted: bool | None = None,
    ) -> events.AudioChanged:
        """Change what is sent and heard; what is not named stays. `volume_db`, `muted`: how `participant` is heard
        here.
        """
        return await self.call(
            schema.AudioSet(
                input=input,
                output=output,
                gain_db=gain_db,
                voice_activation=voice_activation,
                participant=participant,
                volume_db=volume_db,
                muted=muted,
            )
        )

    async def play_stop(self) -> schema.Done:
        """Send no more of it."""
        return await self.call(schema.PlayStop())

    async def record_start(
        self,
        *,
        folder: str | None = None,
        mix: bool = False,
        split_s: float | None = None,
        split_bytes: int | None = None,
        encrypt_to: str | None = None,
    ) -> events.RecordingChanged:
        """Record, after everyone was told. Each in a file of their own; with `mix`, all together in one more."""
        return await self.call(
            schema.RecordStart(folder=folder, mix=mix, split_s=split_s, split_bytes=split_bytes, encrypt_to=encrypt_to)
        )

    async def record_stop(self) -> events.RecordingChanged:
        """Stop recording; answered when the files are closed."""
        return await self.call(schema.RecordStop())

    async def join(self, *, muted: bool = False) -> schema.Done:
        """Begin a call that was prepared (`phase` is `ready`): until then nothing was sent, and nobody was asked."""
        return await self.call(schema.Join(muted=muted))

    async def devices_get(self) -> schema.Devices:
        """The sound devices."""
        return await self.call(schema.GetDevices())

    async def devices_test(self) -> schema.Done:
        """Play three notes to one's own output, from the beginning if they are being played; nobody else hears them."""
        return await self.call(schema.TryOutput())

    async def stats_history(self) -> schema.History:
        """How the call has been, second by second: what a front end that comes later draws."""
        return await self.call(schema.GetHistory())

    async def code_get(self) -> schema.RoomCode:
        """What is read aloud to see that all are in one group, with nobody in between."""
        return await self.call(schema.GetRoomCode())

    async def peers_list(self) -> schema.Peers:
        """The identities that this participant has met."""
        return await self.call(schema.ListPeers())

    async def peers_show(self, *, peer: int | str) -> schema.PeerShown:
        """One identity, of someone in the call or in the store. It has a safety number with this participant."""
        return await self.call(schema.ShowPeer(peer=peer))

    async def peers_verify(
        self,
        *,
        peer: int | str,
        how: Literal["room_code", "safety_number", "fingerprint"],
        matches: bool = True,
        epoch: int | None = None,
    ) -> schema.Done:
        """A person has compared, and it matches; or it does not, which makes them `changed` until `peers.accept`."""
        return await self.call(schema.VerifyPeer(peer=peer, how=how, matches=matches, epoch=epoch))

    async def peers_accept(self, *, peer: int | str) -> schema.Done:
        """Someone who is `changed` is heard again: as known, and not verified."""
        return await self.call(schema.AcceptPeer(peer=peer))

    async def peers_forget(self, *, peer: int | str) -> schema.Done:
        """As if they had never been met."""
        return await self.call(schema.ForgetPeer(peer=peer))

    async def admit(self, *, caller: str) -> schema.Done:
        """Let in someone who waits: the `ref` of a caller, or their name where only one is called that."""
        return await self.call(schema.Admit(caller=caller))

    async def deny(self, *, caller: str) -> schema.Done:
        """Do not let in someone who waits."""
        return await self.call(schema.Deny(caller=caller))

    async def remove(self, *, participant: int | str) -> schema.Done:
        """Remove a participant: they can open nothing that is said afterwards."""
        return await self.call(schema.Remove(participant=participant))

    async def lock(self) -> schema.Done:
        """Let nobody in any more."""
        return await self.call(schema.Lock())

    async def unlock(self) -> schema.Done:
        """Let people in again."""
        return await self.call(schema.Unlock())

    async def lobby_set(self, *, lobby: Literal["off", "unknown", "everyone"]) -> schema.Done:
        """Who waits until someone lets them in: nobody (`off`), the not verified or allowed (`unknown`), or
        `everyone`.
        """
        return await self.call(schema.LobbySet(lobby=lobby))

    async def allow_set(self, *, fingerprints: list[str]) -> schema.Done:
        """Whom a lobby for `unknown` people lets in by itself, besides the verified, and those in this one's
        settings.
        """
        return await self.call(schema.AllowSet(fingerprints=fingerprints))

    async def hand_over(self, *, participant: int | str) -> schema.Done:
        """Make someone else the host in one's place."""
        return await self.call(schema.HandOver(participant=participant))

    async def mute_request(self, *, participant: int | str) -> schema.Done:
        """Have a participant muted; they can unmute themselves."""
        return await self.call(schema.MuteRequest(participant=participant))
