/** The inherited socket. Writes are made at once, without a turn of the event loop; reads fill one buffer. */
'use strict';

const { writeSync } = require('fs');
const { Socket } = require('net');

/** Most events are smaller. */
const READ_BYTES = 64 * 1024;

class Connection {
  /** `received(buffer, length)` is told what came; `ended()` that nothing more comes. */
  constructor(fd, received, ended) {
    this.fd = fd;
    this.ended = ended;
    const callback = (length, buffer) => {
      received(buffer, length);
      return true;
    };
    this.socket = new Socket({
      fd,
      readable: true,
      writable: true,
      onread: { buffer: Buffer.allocUnsafeSlow(READ_BYTES), callback },
    });
    this.socket.on('end', ended).on('error', ended);
    this.socket.unref();
  }

  /** Sends text or bytes, of that many bytes; `sent` is called when they have left the process. */
  send(data, bytes, sent) {
    let written = 0;
    if (this.socket.writableLength === 0) {
      try {
        written = writeSync(this.fd, data);
      } catch (error) {
        if (error.code !== 'EAGAIN') return this.ended();
      }
    }
    if (written < bytes) {
      const rest = typeof data === 'string' ? Buffer.from(data) : data;
      this.socket.write(rest.subarray(written), sent);
    } else if (sent !== undefined) {
      process.nextTick(sent);
    }
  }

  /** Whether the process stays alive for what comes. */
  hold() {
    this.socket.ref();
  }

  release() {
    this.socket.unref();
  }
}

module.exports = { Connection };
