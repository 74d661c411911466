"""A worker for the tests: answers as the name of the method says, and prints what it was asked, a line each."""
import json
import sys

import zmq

endpoint, methods, repeatable = sys.argv[1], sys.argv[2].split(','), [n for n in sys.argv[3].split(',') if n]
mute = len(sys.argv) > 4 and sys.argv[4] == 'mute'
socket = zmq.Context().socket(zmq.DEALER)
socket.setsockopt(zmq.LINGER, 500)
socket.connect(endpoint)
socket.send_multipart([b'CB1', b'work', b'w', json.dumps({'methods': methods, 'repeatable': repeatable}).encode()])


def answer(method, body, payload):
    what = method.split(':', 1)[1]
    if what == 'error':
        return {'error': {'code': 1234, 'message': 'no such seat'}}, None
    if what == 'disconnect':
        return {'disconnect': {'code': 4501, 'reason': 'go away'}}, None
    if what == 'invalid':
        return {'error': {'code': 1}}, None
    if what == 'object':
        return {'result': {'data': {'asked': body}}}, None
    return {'result': {}}, payload


while True:
    _, kind, identity, body, *payload = socket.recv_multipart()
    if kind == b'ping':
        if not mute:
            socket.send_multipart([b'CB1', b'pong', b'', b'{}'])
        continue
    asked = json.loads(body)
    print(json.dumps({'kind': kind.decode(), **asked}), flush=True)
    if kind != b'request' or asked['method'] in ('rpc:never', 'rpc:slow_never'):
        continue
    if asked['method'] == 'rpc:drain':
        socket.send_multipart([b'CB1', b'work', b'd', b'{"methods":[]}'])
    params, data = answer(asked['method'], asked, payload[0] if payload else b'')
    socket.send_multipart([b'CB1', b'done', identity, json.dumps(params).encode()] + ([data] if data is not None else []))
