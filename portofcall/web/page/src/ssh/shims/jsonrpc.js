// dev-tunnels-ssh takes only events and cancellation from vscode-jsonrpc, whose main.js needs net, os and path.
const {Emitter, Event} = require("vscode-jsonrpc/lib/events");
const {CancellationToken, CancellationTokenSource} = require("vscode-jsonrpc/lib/cancellation");
module.exports = {Emitter, Event, CancellationToken, CancellationTokenSource};
