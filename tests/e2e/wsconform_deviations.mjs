/* Where libwebsockets 4.1.6 does otherwise than RFC 6455 wants, and nothing of ours can change it: it frames by itself and tells nobody.
 * `cases`: their names in a group; `does`: what is seen instead. A case that is listed here and behaves differently fails, in either
 * direction; so does an entry that no case meets. */
export const deviations = [
  { of: 'masking', cases: /^(text|binary) .* without a mask$/, does: /^((text|binary) .*, )?open$/, why: 'frames without a mask are taken (5.1: close); the bit is shown to nobody' },
  { of: 'masking', cases: /^a continuation without a mask$/, does: /^(text ab, )?open$/, why: '… continuations, too' },
  { of: 'masking', cases: /^ping without a mask$/, does: /^pong abc, open$/, why: '… pings are answered' },
  { of: 'masking', cases: /^close without a mask$/, does: /^close 1000$/, why: '… closes are answered' },
  { of: 'lengths', cases: /./, does: /^((text|binary) .*, )?open$/, why: 'lengths in more bytes than are needed are taken (5.2: the minimal number)' },
  { of: 'control', cases: /^two pings at once$/, does: /^pong a, open$/, why: 'of two pings in one read the first is answered, the second never (5.5.3: at least the last)' },
  { of: 'close', cases: /^close of one byte$/, does: /^close$/, why: 'a close of one byte is answered as if it were empty (5.5.1: a code of two)' },
  { of: 'close', cases: /^close (5000|65535), which nobody may send$/, does: /^close (5000|65535)$/, why: 'codes above 4999 are echoed (7.4)' },
  { of: 'close', cases: /^close with a reason that is no UTF-8/, does: /^close 1000$/, why: 'the reason of a close is not looked at (5.5.1: UTF-8)' },
  { of: 'close', cases: /^what comes behind a close is not heard: (a wrong frame|bytes of no frame)$/, does: /^(cut|close 1000)$/, why: 'what stands behind a close is looked at all the same, and a fault in it ends the connection without an answer (1.4: ignored)' },
  { of: 'fragmentation', cases: /then a continuation after its end$/, does: /^((text|binary) abc, )?close 1002(, (text|binary) abc)?$/, why: 'behind its own close for a fault of framing, lws lets our data through (5.5.1: none)' },
  { of: 'requests', cases: /^method (get|Get)$/, does: /^101$/, why: 'methods are compared without regard to case (RFC 9110 9.1)' },
  { of: 'requests', cases: /^version http\/1\.1$/, does: /^101$/, why: 'so is the version' },
  { of: 'upgrades', cases: /^Connection: "Up grade"$/, does: /^101$/, why: 'spaces inside of a token of Connection are skipped' },
  { of: 'shapes', cases: /^a space at the end of (Upgrade|the key)$/, does: /^refused$/, why: 'white space at the end of a value is part of it (RFC 9110 5.5: it is not)' },
  { of: 'shapes', cases: /^an empty line before$/, does: /^refused$/, why: 'an empty line before the request is no request (RFC 9112 2.2: should be ignored)' },
  { of: 'shapes', cases: /^a NUL in a header$/, does: /^101$/, why: 'a NUL ends the value that is compared (RFC 9110 5.5: refuse, or replace)' },
  { of: 'subprotocols', cases: /: none of ours$/, does: /^refused$/, why: 'a list without any of ours is closed without a status (4.2.2: upgrade without a subprotocol, or refuse in words)' },
];
