/* The cleanup attribute under one name: auto_destroy(x_destroy) x_t *x = NULL;
 * x_destroy takes x_t **, nulls it and accepts NULL: so passing ownership on (and nulling) is all it takes. */
#ifndef CALLBOARD_BASE_CLEANUP_H
#define CALLBOARD_BASE_CLEANUP_H

#define auto_destroy(function) __attribute__((cleanup(function)))

#endif
