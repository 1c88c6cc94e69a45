/**
 * Changing keys in the middle of a session (RFC 4253, section 9).
 *
 * dev-tunnels-ssh ends the session when the server begins ("Key exchange was not started"). When it begins itself,
 * its KEXINIT can overtake messages that wait to be sent; they then follow it, which is an error to the server. And it
 * accepts another host key in the middle.
 */

import * as ssh from "@microsoft/dev-tunnels-ssh";
import {internals} from "./internals.ts";

/** After this many bytes both ways the client changes keys. */
export const REKEY_BYTES = 512 << 20;

/** Answer a server that changes keys, and insist on the host key. To be called before `connect()`. */
export function mendServerRekey(session: ssh.SshClientSession): void {
  const {kexService} = internals(session);
  const handleInit = kexService.handleInitMessage;
  kexService.handleInitMessage = async function (message, cancellation) {
    if (!this.exchanging) {
      const [init] = await this.startKeyExchange(false);
      await internals(session).sendMessage(init, cancellation);
    }
    return handleInit.call(this, message, cancellation);
  };

  let first: Buffer | null = null;
  const handleReply = kexService.handleDhReplyMessage;
  kexService.handleDhReplyMessage = async function (message, cancellation) {
    await handleReply.call(this, message, cancellation);
    const key = (await this.hostKey?.getPublicKeyBytes()) ?? null;
    if (!key || (first && !first.equals(key))) {
      throw new ssh.SshConnectionError(
        "the host key changed in the middle of the session",
        ssh.SshDisconnectReason.hostKeyNotVerifiable,
      );
    }
    first = key;
  };
}

/** Begin a change of keys behind what waits to be sent. To be called after `connect()`. */
export function mendClientRekey(session: ssh.SshClientSession, bytes = REKEY_BYTES): void {
  const {kexService, protocol} = internals(session);
  if (!protocol) return; // already closed
  protocol.considerReExchange = async function (initial) {
    if (initial || kexService.exchanging || this.inboundFlow + this.outboundFlow < bytes) return;
    // From here on everything else is held back; what was not waits in the queue, before this.
    const [init] = await kexService.startKeyExchange(false);
    // Not awaited: the caller may hold that queue. A failure to send ends the session.
    internals(session).sendMessage(init).catch((error: unknown) => {
      void session.close(ssh.SshDisconnectReason.connectionLost, String(error));
    });
  };
}
