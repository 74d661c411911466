/* callboard-operator: the call, and the last exit code. A check that fails says where and aborts; that ends with 70, so
 * that a script tells our mistake from its own. Other signals are left alone: their cores say more than we could. */
#include "operator/cli/operator_program.h"

#include <signal.h>
#include <unistd.h>

static void on_abort(int number) {
    static const char text[] =
        "callboard-operator: a bug of this program, not of the spec: please report it with the line above\n";
    (void) number;
    ssize_t written = write(STDERR_FILENO, text, sizeof text - 1);
    (void) written;
    _exit(OPERATOR_BUG);
}

int main(int n_arguments, char **arguments) {
    signal(SIGABRT, on_abort);
    return operator_program_run(n_arguments, arguments);
}
