/** The banner that a server shows before it lets anybody in (RFC 4252, section 5.4); dev-tunnels-ssh drops it. */

import * as ssh from "@microsoft/dev-tunnels-ssh";

const NUMBER = 53;

export class BannerMessage extends ssh.AuthenticationMessage {
  text = "";

  override get messageType(): number {
    return NUMBER;
  }

  protected override onRead(reader: ssh.SshDataReader): void {
    this.text = reader.readString("utf8");
    reader.readString("ascii"); // the language
  }
}

export function mendBanner(config: ssh.SshSessionConfiguration): void {
  config.messages.set(NUMBER, BannerMessage);
}
