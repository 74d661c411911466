/* Scripts of the simulated Redis run in Lua 5.1, which is what the real one embeds. */
#ifndef CALLBOARD_TESTS_SIMULATION_MODEL_SCRIPT_H
#define CALLBOARD_TESTS_SIMULATION_MODEL_SCRIPT_H

#include <lua.h>

void model_struct_open(lua_State *lua);

#endif
