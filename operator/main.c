/* callboard-operator: nothing but the call. */
#include "operator/cli/operator_program.h"

int main(int n_arguments, char **arguments) {
    return operator_program_run(n_arguments, arguments);
}
