/* callboardctl completion: what bash completes, made from the tables of the commands, so that it cannot say something
 * else: commands, options, what an option or the first operand may be, files where a file is wanted. */
#include "tools/ctl.h"

#include <stdio.h>

/* "--endpoint | --output | -o": the options that take a value. */
static void print_valued(const struct ctl_option *options) {
    const char *separator = "";
    for (const struct ctl_option *each = options; each->name != NULL; each++) {
        if (each->kind == CTL_FLAG) {
            continue;
        }
        printf("%s--%s", separator, each->name);
        separator = " | ";
        if (each->letter != '\0') {
            printf(" | -%c", each->letter);
        }
    }
}

static void print_options(const struct ctl_option *options) {
    for (const struct ctl_option *each = options; each != NULL && each->name != NULL; each++) {
        printf(" --%s", each->name);
    }
}

/* What may stand behind an option: "bench:--churn) words='close reset' ;;" */
static void print_values(const char *command, const struct ctl_option *options) {
    for (const struct ctl_option *each = options; each != NULL && each->name != NULL; each++) {
        if (each->kind == CTL_FLAG) {
            continue;
        }
        printf("    %s:--%s", command, each->name);
        if (each->letter != '\0') {
            printf(" | %s:-%c", command, each->letter);
        }
        if (each->kind == CTL_FILE) {
            puts(") files=1 ;;");
        } else {
            printf(") words='%s' ;;\n", each->choices == NULL ? "" : each->choices);
        }
    }
}

static void print_commands(const struct ctl_command *const *commands, size_t n) {
    printf("        '') words='");
    for (size_t i = 0; i < n; i++) {
        printf("%s ", commands[i]->name);
    }
    puts("--help' ;;");
    for (size_t i = 0; i < n; i++) {
        const struct ctl_operand *first = commands[i]->operands;
        printf("        %s) words='", commands[i]->name);
        print_options(commands[i]->options);
        puts(" --help' ;;");
        if (first != NULL && first->choices != NULL) {
            printf("        %s:) words='%s' ;;\n", commands[i]->name, first->choices);
        }
    }
}

static int run(const struct ctl_options *options, const struct ctl_arguments *arguments) {
    size_t n;
    const struct ctl_command *const *commands = ctl_commands(&n);
    (void) options;
    (void) arguments;
    printf(
        "# Made by callboardctl completion.\n"
        "_callboardctl() {\n"
        "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command= words= files= i\n"
        "    for ((i = 1; i < COMP_CWORD; i++)); do\n"
        "        case ${COMP_WORDS[i]} in\n"
        "        ");
    print_valued(ctl_global_options);
    puts(") ((i++)) ;;\n"
         "        -*) ;;\n"
         "        *)\n"
         "            command=${COMP_WORDS[i]}\n"
         "            break\n"
         "            ;;\n"
         "        esac\n"
         "    done\n"
         "    case $command:$previous in");
    for (size_t i = 0; i < n; i++) {
        print_values(commands[i]->name, commands[i]->options);
    }
    print_values("*", ctl_global_options);
    puts("    *)\n"
         "        [[ $command && $previous == \"$command\" && $current != -* ]] && previous=: || previous=\n"
         "        case $command$previous in");
    print_commands(commands, n);
    puts("        esac");
    printf("        [[ $current == -* && $words ]] && words+='");
    print_options(ctl_global_options);
    puts("'\n"
         "        ;;\n"
         "    esac\n"
         "    if [[ $files ]]; then\n"
         "        COMPREPLY=($(compgen -f -- \"$current\"))\n"
         "    else\n"
         "        COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
         "    fi\n"
         "}\n"
         "complete -o default -F _callboardctl callboardctl");
    return CTL_DONE;
}

const struct ctl_command ctl_completion_command = {
    .name = "completion",
    .summary = "print what bash needs to complete commands and options",
    .description = "The output is for bash. Where callboardctl is installed its completion is, too.",
    .examples = "source <(callboardctl completion)\n",
    .run = run,
};
