/* EVAL and EVALSHA: the text as it came, compiled once for all servers; whether a server knows it is the server's.
 * Calls of redis.call and redis.pcall go through model_command, and their replies from RESP to Lua and back as in
 * Redis 7. */
#include "tests/simulation/model_script.h"

#include "base/check.h"
#include "base/memory.h"
#include "tests/simulation/model_server.h"
#include "tests/simulation/sim.h"

#include <lauxlib.h>
#include <lualib.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { SCRIPTS_MAX = 16, DIGEST = 40, CALL_ARGUMENTS_MAX = 256, PATCHES_MAX = 8 };

static struct {
    lua_State *lua;
    struct {
        char digest[DIGEST + 1];
        int function;
    } scripts[SCRIPTS_MAX];
    int n;
    struct model_call *call; /* of the script that runs */
    bool wrote;
    struct buffer reply; /* of the command that it calls */
    struct model_patch patches[PATCHES_MAX];
    bool patched[PATCHES_MAX];
    size_t n_patches;
} scripting;

/* ---- RESP → Lua ---- */

static size_t line_number(struct cursor *cursor) {
    const uint8_t *end = memchr(cursor->at, '\n', cursor->left);
    size_t value = strtoul((const char *) cursor->at, NULL, 10);
    cursor_bytes(cursor, (size_t) (end - cursor->at) + 1);
    return value;
}

static void push_reply(lua_State *lua, struct cursor *cursor) {
    char type = (char) cursor_u8(cursor);
    const uint8_t *start = cursor->at;
    const uint8_t *end = memchr(cursor->at, '\n', cursor->left);
    size_t size = (size_t) (end - start) - 1;
    switch (type) {
    case ':':
        lua_pushnumber(lua, (lua_Number) strtoll((const char *) start, NULL, 10));
        cursor_bytes(cursor, size + 2);
        return;
    case '+':
    case '-':
        lua_newtable(lua);
        lua_pushlstring(lua, (const char *) start, size);
        lua_setfield(lua, -2, type == '+' ? "ok" : "err");
        cursor_bytes(cursor, size + 2);
        return;
    case '$':
        if (*start == '-') {
            lua_pushboolean(lua, 0);
            cursor_bytes(cursor, size + 2);
            return;
        }
        size = line_number(cursor);
        lua_pushlstring(lua, (const char *) cursor->at, size);
        cursor_bytes(cursor, size + 2);
        return;
    default:
        check(type == '*', "a reply of type %c", type);
        size = line_number(cursor);
        lua_createtable(lua, (int) size, 0);
        for (size_t i = 0; i < size; i++) {
            push_reply(lua, cursor);
            lua_rawseti(lua, -2, (int) i + 1);
        }
    }
}

/* ---- Lua → RESP ---- */

static void take_value(lua_State *lua, struct buffer *out);

static bool take_field(lua_State *lua, const char *name, char type, struct buffer *out) {
    lua_getfield(lua, -1, name);
    bool is_there = lua_isstring(lua, -1);
    if (is_there) {
        buffer_append_format(out, "%c%s\r\n", type, lua_tostring(lua, -1));
    }
    lua_pop(lua, 1);
    return is_there;
}

static void take_table(lua_State *lua, struct buffer *out) {
    if (take_field(lua, "err", '-', out) || take_field(lua, "ok", '+', out)) {
        return;
    }
    struct buffer elements = BUFFER_EMPTY;
    size_t n = 0;
    for (;;) {
        lua_rawgeti(lua, -1, (int) n + 1);
        bool is_end = lua_isnil(lua, -1);
        if (!is_end) {
            take_value(lua, &elements);
            n++;
        }
        lua_pop(lua, 1);
        if (is_end) {
            break;
        }
    }
    reply_array(out, n);
    buffer_append_span(out, buffer_span(&elements));
    buffer_finish(&elements);
}

static void take_value(lua_State *lua, struct buffer *out) {
    size_t size = 0;
    const char *text = NULL;
    switch (lua_type(lua, -1)) {
    case LUA_TSTRING:
        text = lua_tolstring(lua, -1, &size);
        reply_bulk(out, span_of(text, size));
        break;
    case LUA_TNUMBER:
        reply_integer(out, (int64_t) lua_tonumber(lua, -1));
        break;
    case LUA_TBOOLEAN:
        if (lua_toboolean(lua, -1)) {
            reply_integer(out, 1);
        } else {
            reply_nil(out);
        }
        break;
    case LUA_TTABLE:
        take_table(lua, out);
        break;
    default:
        reply_nil(out);
    }
}

/* ---- redis.* ---- */

static int call_command(lua_State *lua, bool raises) {
    int n = lua_gettop(lua);
    struct span words[CALL_ARGUMENTS_MAX];
    char digits[CALL_ARGUMENTS_MAX][32];
    luaL_argcheck(lua, n > 0 && n <= CALL_ARGUMENTS_MAX, 1, "Please specify at least one argument");
    for (int i = 0; i < n; i++) {
        size_t size = 0;
        if (lua_type(lua, i + 1) == LUA_TNUMBER) {
            int length = snprintf(digits[i], sizeof digits[i], "%.17g", lua_tonumber(lua, i + 1));
            words[i] = span_of(digits[i], (size_t) length);
        } else {
            const char *text = lua_tolstring(lua, i + 1, &size);
            if (text == NULL) {
                return luaL_error(lua, "Lua redis lib command arguments must be strings or integers");
            }
            words[i] = span_of(text, size);
        }
    }
    buffer_clear(&scripting.reply);
    struct model_call call = {.server = scripting.call->server,
                              .n = (size_t) n,
                              .arguments = words,
                              .reply = &scripting.reply,
                              .in_script = true,
                              .wrote = &scripting.wrote};
    model_command(&call);
    struct cursor cursor = cursor_of(buffer_span(&scripting.reply));
    push_reply(lua, &cursor);
    bool is_error = scripting.reply.size > 0 && scripting.reply.data[0] == '-';
    return is_error && raises ? lua_error(lua) : 1;
}

static int redis_call(lua_State *lua) {
    return call_command(lua, true);
}

static int redis_pcall(lua_State *lua) {
    return call_command(lua, false);
}

static int make_reply(lua_State *lua, const char *field) {
    luaL_checkstring(lua, 1);
    lua_newtable(lua);
    lua_pushvalue(lua, 1);
    lua_setfield(lua, -2, field);
    return 1;
}

static int redis_error_reply(lua_State *lua) {
    return make_reply(lua, "err");
}

static int redis_status_reply(lua_State *lua) {
    return make_reply(lua, "ok");
}

void model_script_begin(void) {
    if (scripting.lua != NULL) {
        return;
    }
    static const luaL_Reg functions[] = {{"call", redis_call},
                                         {"pcall", redis_pcall},
                                         {"error_reply", redis_error_reply},
                                         {"status_reply", redis_status_reply},
                                         {NULL, NULL}};
    scripting.lua = luaL_newstate();
    luaL_openlibs(scripting.lua);
    luaL_register(scripting.lua, "redis", functions);
    lua_pop(scripting.lua, 1);
    model_struct_open(scripting.lua);
}

void model_script_end(void) {
    if (scripting.lua != NULL) {
        lua_close(scripting.lua);
    }
    buffer_finish(&scripting.reply);
    memset(&scripting, 0, sizeof scripting);
}

/* ---- planted mistakes ---- */

void model_script_patch(const struct model_patch *patches, size_t n) {
    check(n <= PATCHES_MAX && scripting.n == 0, "patches come before scripts");
    memcpy(scripting.patches, patches, n * sizeof *patches);
    scripting.n_patches = n;
}

bool model_script_patched(void) {
    for (size_t i = 0; i < scripting.n_patches; i++) {
        if (!scripting.patched[i]) {
            return false;
        }
    }
    return true;
}

static void append_until(struct buffer *out, struct span *rest, size_t end) {
    buffer_append(out, rest->data, end);
    *rest = span_of(rest->data + end, rest->size - end);
}

/* The text with every place of the pattern replaced. */
static struct buffer patch_text(struct span text) {
    struct buffer now = BUFFER_EMPTY;
    buffer_append_span(&now, text);
    for (size_t i = 0; i < scripting.n_patches; i++) {
        const struct model_patch *patch = &scripting.patches[i];
        if (memmem(now.data, now.size, patch->script, strlen(patch->script)) == NULL) {
            continue;
        }
        struct buffer next = BUFFER_EMPTY;
        struct span rest = buffer_span(&now);
        const uint8_t *at = NULL;
        while ((at = memmem(rest.data, rest.size, patch->find, strlen(patch->find))) != NULL) {
            append_until(&next, &rest, (size_t) (at - rest.data));
            buffer_append_text(&next, patch->replace);
            rest = span_of(at + strlen(patch->find), rest.size - strlen(patch->find));
            scripting.patched[i] = true;
        }
        append_until(&next, &rest, rest.size);
        buffer_finish(&now);
        now = next;
    }
    return now;
}

/* ---- EVAL, EVALSHA ---- */

static int find_script(struct span digest) {
    for (int i = 0; i < scripting.n; i++) {
        if (span_equal_text(digest, scripting.scripts[i].digest)) {
            return i;
        }
    }
    return -1;
}

static int learn_script(struct span text) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_Digest(text.data, text.size, digest, &size, EVP_sha1(), NULL);
    char hex[DIGEST + 1];
    for (unsigned i = 0; i < size; i++) {
        snprintf(hex + 2 * (size_t) i, 3, "%02x", digest[i]);
    }
    int known = find_script(span_of_text(hex));
    if (known >= 0) {
        return known;
    }
    check(scripting.n < SCRIPTS_MAX, "more scripts than expected");
    struct buffer patched = patch_text(text);
    int status = luaL_loadbuffer(scripting.lua, (const char *) patched.data, patched.size, "@user_script");
    check(status == 0, "a script does not compile: %s", lua_tostring(scripting.lua, -1));
    buffer_finish(&patched);
    memcpy(scripting.scripts[scripting.n].digest, hex, sizeof hex);
    scripting.scripts[scripting.n].function = luaL_ref(scripting.lua, LUA_REGISTRYINDEX);
    return scripting.n++;
}

static void set_words(lua_State *lua, const char *name, const struct span *words, size_t n) {
    lua_createtable(lua, (int) n, 0);
    for (size_t i = 0; i < n; i++) {
        lua_pushlstring(lua, (const char *) words[i].data, words[i].size);
        lua_rawseti(lua, -2, (int) i + 1);
    }
    lua_setglobal(lua, name);
}

/* redis.call raised a table with what Redis said; anything else is a mistake in the script. */
static void reply_raised(struct model_call *call, const char *digest) {
    lua_State *lua = scripting.lua;
    if (lua_istable(lua, -1)) {
        lua_getfield(lua, -1, "err");
        buffer_append_format(call->reply, "-%s script: %s, on @user_script:1.\r\n", lua_tostring(lua, -1), digest);
        lua_pop(lua, 1);
    } else {
        sim_fail("a script failed: %s", lua_tostring(lua, -1));
        buffer_append_format(call->reply, "-ERR %s script: %s, on @user_script:1.\r\n", lua_tostring(lua, -1), digest);
    }
}

static void run_script(struct model_call *call, int script) {
    lua_State *lua = scripting.lua;
    size_t n_keys = strtoul((const char *) call->arguments[2].data, NULL, 10);
    set_words(lua, "KEYS", call->arguments + 3, n_keys);
    set_words(lua, "ARGV", call->arguments + 3 + n_keys, call->n - 3 - n_keys);
    scripting.call = call;
    scripting.wrote = false;
    lua_rawgeti(lua, LUA_REGISTRYINDEX, scripting.scripts[script].function);
    if (lua_pcall(lua, 0, 1, 0) == 0) {
        take_value(lua, call->reply);
    } else {
        reply_raised(call, scripting.scripts[script].digest);
    }
    lua_settop(lua, 0);
}

void model_script_command(struct model_call *call, const char *name) {
    if (strcasecmp(name, "SCRIPT") == 0) {
        int script = call->n == 3 ? learn_script(call->arguments[2]) : -1;
        if (script >= 0) {
            call->server->knows_script[script] = true;
            reply_bulk(call->reply, span_of_text(scripting.scripts[script].digest));
        } else {
            reply_status(call->reply, "OK");
        }
        return;
    }
    int script = -1;
    if (strcasecmp(name, "EVAL") == 0) {
        script = learn_script(call->arguments[1]);
        call->server->knows_script[script] = true;
    } else {
        script = find_script(call->arguments[1]);
    }
    if (script < 0 || !call->server->knows_script[script]) {
        reply_error(call->reply, "NOSCRIPT No matching script. Please use EVAL.");
        return;
    }
    run_script(call, script);
}
