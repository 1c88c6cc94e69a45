"""How clients ask for a tunnel: one module for each kind of them, with all that is special about it."""
