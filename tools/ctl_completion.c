/* callboardctl completion: what bash completes, made from the table of commands, so that it cannot say something else.
 * The options of a command are the words of its usage that begin with --. */
#include "tools/ctl.h"

#include <stdio.h>

/* The next word of the usage that is an option; SPAN_EMPTY: there are no more. */
static struct span next_option(const char **rest) {
    const char *start = strstr(*rest, "--");
    if (start == NULL) {
        return SPAN_EMPTY;
    }
    size_t size = strspn(start, "-abcdefghijklmnopqrstuvwxyz0123456789");
    *rest = start + size;
    return span_of(start, size);
}

static void print_options(const char *arguments) {
    for (struct span option = next_option(&arguments); option.size > 0; option = next_option(&arguments)) {
        printf(" %.*s", (int) option.size, (const char *) option.data);
    }
}

int ctl_completion(const struct ctl_options *options, int argc, char **argv) {
    (void) options;
    (void) argv;
    if (argc != 1) {
        return ctl_usage_error("completion",
                               "takes nothing; its output is for bash: source <(callboardctl completion)");
    }
    size_t n_commands;
    const struct ctl_command *commands = ctl_commands(&n_commands);
    puts("# Made by callboardctl completion.\n"
         "_callboardctl() {\n"
         "    local current=${COMP_WORDS[COMP_CWORD]} command= words= i\n"
         "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "        case ${COMP_WORDS[i]} in\n"
         "        --endpoint | --curve-key | --curve-broker-key | --timeout | --output | -o) ((i++)) ;;\n"
         "        -*) ;;\n"
         "        *)\n"
         "            command=${COMP_WORDS[i]}\n"
         "            break\n"
         "            ;;\n"
         "        esac\n"
         "    done\n"
         "    case $command in");
    printf("    '') words='%s", ctl_global_options);
    for (size_t i = 0; i < n_commands; i++) {
        printf(" %s", commands[i].name);
    }
    puts("' ;;");
    for (size_t i = 0; i < n_commands; i++) {
        printf("    %s) words='", commands[i].name);
        print_options(commands[i].arguments);
        puts("' ;;");
    }
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "}\n"
         "complete -o default -F _callboardctl callboardctl");
    return CTL_DONE;
}
