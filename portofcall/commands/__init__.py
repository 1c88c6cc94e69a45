"""The subcommands of ``portofcall``."""
