"""A worker for hooks: the verdict stands in the client's data ({"verdict": …}), or, where a hook has none, in meta under
the hook's name; a list is used up from its beginning. "never": no answer. Prints what it was asked, a line each."""
import json
import sys

import zmq

endpoint, methods = sys.argv[1], sys.argv[2].split(',')
socket = zmq.Context().socket(zmq.DEALER)
socket.setsockopt(zmq.LINGER, 500)
socket.connect(endpoint)
socket.send_multipart([b'CB1', b'work', b'w', json.dumps({'methods': methods}).encode()])
rows = {}


def verdict(asked, payload):
    try:
        return json.loads(payload)['verdict']
    except (ValueError, KeyError, TypeError):
        pass
    row = rows.setdefault((asked['method'], asked['client']), list(asked.get('meta', {}).get(asked['method'], [])))
    return row.pop(0) if row else {'error': {'code': 403, 'message': 'nothing is said of it'}}


while True:
    _, kind, identity, body, *payload = socket.recv_multipart()
    if kind == b'ping':
        socket.send_multipart([b'CB1', b'pong', b'', b'{}'])
        continue
    asked = json.loads(body)
    print(json.dumps({'kind': kind.decode(), 'payload': payload[0].decode() if payload else '', **asked}), flush=True)
    if kind != b'request':
        continue
    params = verdict(asked, payload[0] if payload else b'')
    if params != 'never':
        data = [params.pop('payload').encode()] if 'payload' in params else []
        socket.send_multipart([b'CB1', b'done', identity, json.dumps(params).encode()] + data)
