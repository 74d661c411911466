/* The scenarios of who serves what. */
#ifndef CALLBOARD_TESTS_SIMULATION_SCENARIOS_ROUTING_H
#define CALLBOARD_TESTS_SIMULATION_SCENARIOS_ROUTING_H

void promotion_told_to_one_broker_first(void);
void sentinel_of_yesterday(void);
void partition_moved_under_load(void);
void partition_moved_and_told_late(void);
void topic_taken_back_before_a_cut(void);
void replica_that_comes_back_is_waited_for(void);

#endif
