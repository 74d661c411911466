/* The library `struct` that Redis gives to scripts (Roberto Ierusalimschy's), as far as ours use it: < > and the items
 * b B h H i I l L with a size, c with a size (c0: the whole string; unpacking: as long as the number before says), s,
 * x. The fidelity test compares it with the real one. */
#include "tests/simulation/model_script.h"

#include <ctype.h>
#include <lauxlib.h>
#include <stdint.h>

enum { SIZE_MAXIMUM = 8 };

static size_t read_size(const char **format, size_t otherwise) {
    if (!isdigit((unsigned char) **format)) {
        return otherwise;
    }
    size_t size = 0;
    while (isdigit((unsigned char) **format)) {
        size = size * 10 + (size_t) (*(*format)++ - '0');
    }
    return size;
}

/* The size of an integer item; 0: it is none. */
static size_t integer_size(lua_State *lua, char item, const char **format) {
    size_t size = 0;
    switch (item) {
    case 'b':
    case 'B':
        size = 1;
        break;
    case 'h':
    case 'H':
        size = 2;
        break;
    case 'l':
    case 'L':
        size = 8;
        break;
    case 'i':
    case 'I':
        size = read_size(format, 4);
        break;
    default:
        return 0;
    }
    if (size > SIZE_MAXIMUM) {
        luaL_error(lua, "integral size %d is larger than limit of 8", (int) size);
    }
    return size;
}

static void pack_integer(lua_State *lua, luaL_Buffer *out, int argument, size_t size, int is_little) {
    lua_Number number = luaL_checknumber(lua, argument);
    uint64_t value = number < 0 ? (uint64_t) (int64_t) number : (uint64_t) number;
    for (size_t i = 0; i < size; i++) {
        size_t at = is_little ? i : size - 1 - i;
        luaL_addchar(out, (char) (uint8_t) (value >> (8 * at)));
    }
}

static int struct_pack(lua_State *lua) {
    const char *format = luaL_checkstring(lua, 1);
    int argument = 1;
    int is_little = 1;
    luaL_Buffer out;
    luaL_buffinit(lua, &out);
    while (*format != '\0') {
        char item = *format++;
        size_t size = integer_size(lua, item, &format);
        if (size > 0) {
            pack_integer(lua, &out, ++argument, size, is_little);
        } else if (item == 'c' || item == 's') {
            size_t length = 0;
            const char *text = luaL_checklstring(lua, ++argument, &length);
            size_t wanted = item == 'c' ? read_size(&format, 1) : length + 1;
            wanted = wanted == 0 ? length : wanted;
            if (item == 'c' && length < wanted) {
                return luaL_argerror(lua, argument, "string too short");
            }
            luaL_addlstring(&out, text, wanted);
        } else if (item == 'x') {
            luaL_addchar(&out, '\0');
        } else if (item == '<' || item == '>') {
            is_little = item == '<';
        } else if (item != ' ') {
            return luaL_error(lua, "invalid format option '%c'", item);
        }
    }
    luaL_pushresult(&out);
    return 1;
}

static lua_Number unpack_integer(const char *bytes, size_t size, int is_little, int is_signed) {
    uint64_t value = 0;
    for (size_t i = 0; i < size; i++) {
        size_t at = is_little ? size - 1 - i : i;
        value = (value << 8) | (uint8_t) bytes[at];
    }
    if (!is_signed) {
        return (lua_Number) value;
    }
    unsigned shift = (unsigned) (64 - 8 * size);
    return (lua_Number) ((int64_t) (value << shift) >> shift);
}

static int struct_unpack(lua_State *lua) {
    const char *format = luaL_checkstring(lua, 1);
    size_t length = 0;
    const char *data = luaL_checklstring(lua, 2, &length);
    size_t at = (size_t) luaL_optinteger(lua, 3, 1) - 1;
    int is_little = 1;
    int n = 0;
    lua_settop(lua, 2);
    while (*format != '\0') {
        char item = *format++;
        size_t size = integer_size(lua, item, &format);
        luaL_checkstack(lua, 2, "too many results");
        if (size > 0) {
            luaL_argcheck(lua, at + size <= length, 2, "data string too short");
            lua_pushnumber(lua, unpack_integer(data + at, size, is_little, item >= 'a'));
            at += size;
            n++;
        } else if (item == 'c') {
            size = read_size(&format, 1);
            if (size == 0) {
                if (n == 0 || !lua_isnumber(lua, -1)) {
                    return luaL_error(lua, "format 'c0' needs a previous size");
                }
                size = (size_t) lua_tonumber(lua, -1);
                lua_pop(lua, 1);
                n--;
            }
            luaL_argcheck(lua, size <= length && at + size <= length, 2, "data string too short");
            lua_pushlstring(lua, data + at, size);
            at += size;
            n++;
        } else if (item == 'x') {
            at++;
        } else if (item == '<' || item == '>') {
            is_little = item == '<';
        } else if (item != ' ') {
            return luaL_error(lua, "invalid format option '%c'", item);
        }
    }
    lua_pushinteger(lua, (lua_Integer) at + 1);
    return n + 1;
}

void model_struct_open(lua_State *lua) {
    static const luaL_Reg functions[] = {{"pack", struct_pack}, {"unpack", struct_unpack}, {NULL, NULL}};
    luaL_register(lua, "struct", functions);
    lua_pop(lua, 1);
}
