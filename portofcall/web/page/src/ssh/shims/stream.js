// sshStream.js evaluates `class SshStream extends Duplex` when it is loaded; none is ever made here.
class Duplex {}
module.exports = {Duplex};
