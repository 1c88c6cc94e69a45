"""The files that options name: read at the start, and again on SIGHUP."""

import stat
from pathlib import Path

from twisted.python import usage

from portofcall.access.ticket_key import TicketKey
from portofcall.egress.named_target import Targets
from portofcall.egress.policy import DEFAULT_ALLOW, Policy
from portofcall.egress.policy_file import read_policy
from portofcall.egress.target_file import read_all_targets
from portofcall.errors import printable
from portofcall.service.tls import Contexts
from portofcall.service.tls_files import TLSFiles


class OptionFiles(usage.Options):
    """Options that read their files, whenever they are asked to. That changes no option.

    Attributes:
        tls_files: where the certificates and keys are; None without a tls+ endpoint.
    """

    tls_files: TLSFiles | None

    def read_ticket_key(self) -> TicketKey:
        """Read the key for tickets; there must be one.

        Raises:
            ValueError: the file can't be read, or is not such a key.
        """
        path: Path = self["ticket-key"]
        try:
            if stat.S_ISFIFO(path.stat().st_mode):
                # It could be read once, and reading it again would block for ever.
                raise ValueError("expected a regular file")
            return TicketKey.read(path)
        except OSError as problem:
            raise ValueError(
                f"--ticket-key {printable(str(path))}: expected a readable file ({problem.strerror})"
            ) from None
        except ValueError as problem:
            raise ValueError(f"--ticket-key {printable(str(path))}: {problem}") from None

    def read_policy(self) -> Policy:
        """Read the rules, with those that the policy file has now.

        Raises:
            PolicyFileError: the file can't be read, or a line of it is not a rule.
        """
        default = () if self._has_targets else DEFAULT_ALLOW
        return read_policy(self["policy"], allow=self["allow"], deny=self["deny"], default=default)

    def read_targets(self) -> Targets | None:
        """Read the targets with names and tokens, with those that the files have now, and the default.

        Returns:
            None without ``--target``, ``--target-file`` and ``--default-target``.

        Raises:
            TargetsError: one is not valid; the message begins with the option, and the file where it has one.
        """
        if not self._has_targets:
            return None
        return read_all_targets(self["target"], self["target-file"], self["default-target"])

    @property
    def _has_targets(self) -> bool:
        return any(self[name] for name in ("target", "target-file", "default-target"))

    def read_tls(self) -> Contexts:
        """Read the certificates and keys; there must be `tls_files`.

        Raises:
            TLSFileError: a file can't be used.
        """
        assert self.tls_files is not None
        return Contexts(self.tls_files.read())
