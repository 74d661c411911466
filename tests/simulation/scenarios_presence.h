/* See scenarios_presence.c. */
#ifndef CALLBOARD_TESTS_SIMULATION_SCENARIOS_PRESENCE_H
#define CALLBOARD_TESTS_SIMULATION_SCENARIOS_PRESENCE_H

void gateway_cut_from_one_broker(void);
void gateway_cut_from_all_brokers(void);
void ghosts_of_a_gateway_that_died(void);
void ghosts_of_a_gateway_that_came_back(void);
void members_after_redis_forgot_them(void);
void members_while_redis_refuses(void);

#endif
