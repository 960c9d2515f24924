"""Messaging Layer Security, RFC 9420, cipher suite 0x0001: what the rest of the program uses of it."""

from tuiconf.crypto.mls.errors import MlsError
from tuiconf.crypto.mls.framing import Header, peek
from tuiconf.crypto.mls.group import Group, Staged
from tuiconf.crypto.mls.keypackage import (
    POLICY_EXTENSION,
    KeyPackage,
    KeyPackageBundle,
    new_key_package,
    parse_key_package,
)
from tuiconf.crypto.mls.messages import (
    Add,
    ContentType,
    GroupContextExtensions,
    PreSharedKey,
    Proposal,
    Remove,
    Update,
    WireFormat,
)
from tuiconf.crypto.mls.proposals import Added, Changes, ExtensionsChanged, Member, Removed, Updated
from tuiconf.crypto.mls.received import Application, ProposalReceived

__all__ = [
    "POLICY_EXTENSION",
    "Add",
    "Added",
    "Application",
    "Changes",
    "ContentType",
    "ExtensionsChanged",
    "Group",
    "GroupContextExtensions",
    "Header",
    "KeyPackage",
    "KeyPackageBundle",
    "Member",
    "MlsError",
    "PreSharedKey",
    "Proposal",
    "ProposalReceived",
    "Remove",
    "Removed",
    "Staged",
    "Update",
    "Updated",
    "WireFormat",
    "new_key_package",
    "parse_key_package",
    "peek",
]
