/* metadata, and the profile and image at the top of spec. */
#include "operator/spec/field_rows.h"

static const char *const profiles[] = {"dev", "small", "ha", "cluster", "elasticache", NULL}; /* enum spec_profile */
static const char *const pull_policies[] = {"IfNotPresent", "Always", "Never", NULL}; /* enum spec_pull_policy */

static const struct spec_field metadata[] = {
    FIELD("name", SPEC_TEXT, metadata.name, RANGE(1, 40), FORMAT(LABEL), .is_required = true, EFFECT(RECREATE),
          HELP("What all objects' names begin with. At most 40 characters: the longest of them must stay below the 52 "
               "that a StatefulSet's may have."),
          CHANGES("metadata.name of every object, the label app.kubernetes.io/instance, all selectors")),
    FIELD("namespace", SPEC_TEXT, metadata.namespace, FORMAT(LABEL), EFFECT(RECREATE),
          HELP("Where the objects go. Not set: where --namespace or kubectl puts them."),
          CHANGES("metadata.namespace of every object, host names in configurations")),
    FIELD("labels", SPEC_PAIRS, metadata.labels, .items_max = 64, FORMAT(WORD), RANGE(0, 63), EFFECT(HOT),
          HELP("Further labels of every object; those of app.kubernetes.io/ are ours."),
          CHANGES("metadata.labels of every object; not of pods, so nothing rolls")),
    FIELD("annotations", SPEC_PAIRS, metadata.annotations, .items_max = 64, RANGE(0, 4096), EFFECT(HOT),
          HELP("Annotations of every object."), CHANGES("metadata.annotations of every object")),
};

const struct spec_fields spec_fields_metadata = {
    .title = "metadata",
    .intro = "Names. They stand in `metadata`, all that follows in `spec`.",
    FIELDS_OF(metadata),
};

static const struct spec_field top[] = {
    FIELD("profile", SPEC_CHOICE, profile, CHOICES(profiles), DEFAULT("small"), EFFECT(DATA),
          HELP("Which defaults count where a field is not set. dev: one pod of each, memory engine. small: one Redis. "
               "ha: Redis with Sentinel. cluster: Redis Cluster. elasticache: a managed Redis of AWS."),
          CHANGES("all that its defaults change; explain --effective shows them")),
    FIELD("image.repository", SPEC_TEXT, image.repository, RANGE(1, 255), FORMAT(REPOSITORY), DEFAULT("callboard"),
          EFFECT(ROLLS), HELP("The image with all programs, without its tag."),
          CHANGES("image of the gateways', brokers' and helpers' containers")),
    FIELD("image.tag", SPEC_TEXT, image.tag, RANGE(1, 128), FORMAT(TAG), DEFAULT(CALLBOARD_VERSION), EFFECT(ROLLS),
          HELP("Its tag. latest is refused: it would be another program after each restart."),
          CHANGES("image of the gateways', brokers' and helpers' containers")),
    FIELD("image.digest", SPEC_TEXT, image.digest, FORMAT(DIGEST), EFFECT(ROLLS),
          HELP("Its digest, sha256:…; wins over the tag."),
          CHANGES("image of the gateways', brokers' and helpers' containers")),
    FIELD("image.pullPolicy", SPEC_CHOICE, image.pull_policy, CHOICES(pull_policies), DEFAULT("IfNotPresent"),
          EFFECT(ROLLS), HELP("When nodes fetch it."), CHANGES("imagePullPolicy of our containers")),
    FIELD("image.pullSecrets", SPEC_TEXT_LIST, image.pull_secrets, .items_max = 8, FORMAT(NAME), EFFECT(ROLLS),
          HELP("Secrets with the registry's credentials."), CHANGES("imagePullSecrets of every pod")),
};

const struct spec_fields spec_fields_top = {
    .title = "profile and image",
    .intro = "What the defaults are, and which program runs.",
    FIELDS_OF(top),
};
