"""Who may use the gateway: origins, client addresses, passwords and tickets."""
