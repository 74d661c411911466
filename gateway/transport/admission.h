/* Whether an upgrade or a stream is let in, while its headers are there and an HTTP answer can be given. Thread: the
 * worker's. */
#ifndef CALLBOARD_GATEWAY_ADMISSION_H
#define CALLBOARD_GATEWAY_ADMISSION_H

#include "gateway/transport/websocket.h"

/* What the callback for LWS_CALLBACK_HTTP_CONFIRM_UPGRADE has to return; who is refused has had his answer. */
int admission_judge(struct websocket_service *service, struct lws *wsi);
/* The same for a plain HTTP request that will hold its connection: only whom it comes from is judged. */
int admission_judge_source(struct websocket_service *service, struct lws *wsi);
/* The same for a request that begins a session: whether there is room for one, too. */
int admission_judge_stream(struct websocket_service *service, struct lws *wsi);

#endif
