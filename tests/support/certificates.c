/* See certificates.h. */
#include "tests/support/certificates.h"

#include "base/check.h"
#include "base/random.h"

#include <stdio.h>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { PATH_MAX_HERE = 512, DAY_S = 86400 };

static FILE *open_file(const char *directory, const char *name, const char *ending, const char *mode) {
    char path[PATH_MAX_HERE];
    snprintf(path, sizeof path, "%s/%s.%s", directory, name, ending);
    FILE *file = fopen(path, mode);
    check(file != NULL, "%s cannot be opened", path);
    return file;
}

static void write_pair(const char *directory, const char *name, X509 *certificate, EVP_PKEY *key) {
    FILE *file = open_file(directory, name, "crt", "w");
    check(PEM_write_X509(file, certificate) == 1 && fclose(file) == 0, "the certificate of %s was not written", name);
    file = open_file(directory, name, "key", "w");
    check(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL) == 1 && fclose(file) == 0,
          "the key of %s was not written", name);
}

static void read_pair(const char *directory, const char *name, X509 **ret_certificate, EVP_PKEY **ret_key) {
    FILE *file = open_file(directory, name, "crt", "r");
    *ret_certificate = PEM_read_X509(file, NULL, NULL, NULL);
    fclose(file);
    file = open_file(directory, name, "key", "r");
    *ret_key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    check(*ret_certificate != NULL && *ret_key != NULL, "%s cannot be read", name);
}

static void add_extension(X509 *certificate, X509 *issuer, int kind, const char *value) {
    X509V3_CTX context;
    X509V3_set_ctx_nodb(&context);
    X509V3_set_ctx(&context, issuer, certificate, NULL, NULL, 0);
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, &context, kind, value);
    check(extension != NULL && X509_add_ext(certificate, extension, -1) == 1, "the extension %s", value);
    X509_EXTENSION_free(extension);
}

static X509 *make(const char *name, EVP_PKEY *key, long from_s, long to_s) {
    X509 *certificate = X509_new();
    X509_set_version(certificate, 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate), random_u64() >> 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), from_s);
    X509_gmtime_adj(X509_getm_notAfter(certificate), to_s);
    X509_set_pubkey(certificate, key);
    X509_NAME *subject = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *) name, -1, -1, 0);
    return certificate;
}

void certificates_make_authority(const char *directory, const char *name) {
    EVP_PKEY *key = EVP_EC_gen("P-256");
    check(key != NULL, "no key could be made");
    X509 *certificate = make(name, key, -DAY_S, 10 * DAY_S);
    X509_set_issuer_name(certificate, X509_get_subject_name(certificate));
    add_extension(certificate, certificate, NID_basic_constraints, "critical,CA:TRUE");
    add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign");
    add_extension(certificate, certificate, NID_subject_key_identifier, "hash");
    check(X509_sign(certificate, key, EVP_sha256()) > 0, "%s was not signed", name);
    write_pair(directory, name, certificate, key);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

void certificates_make(const char *directory, const struct certificate_wish *wish) {
    X509 *authority = NULL;
    EVP_PKEY *authority_key = NULL;
    read_pair(directory, wish->authority, &authority, &authority_key);
    EVP_PKEY *key = EVP_EC_gen("P-256");
    check(key != NULL, "no key could be made");
    X509 *certificate =
        make(wish->name, key, wish->is_early ? DAY_S : -2 * DAY_S, wish->is_expired ? -DAY_S : 2 * DAY_S);
    X509_set_issuer_name(certificate, X509_get_subject_name(authority));
    add_extension(certificate, authority, NID_basic_constraints, "critical,CA:FALSE");
    add_extension(certificate, authority, NID_ext_key_usage, "serverAuth,clientAuth");
    /* As issuers do: of two authorities of one name it tells which one signed. */
    add_extension(certificate, authority, NID_authority_key_identifier, "keyid:always");
    if (wish->names != NULL) {
        add_extension(certificate, authority, NID_subject_alt_name, wish->names);
    }
    check(X509_sign(certificate, authority_key, EVP_sha256()) > 0, "%s was not signed", wish->name);
    write_pair(directory, wish->name, certificate, key);
    X509_free(certificate);
    X509_free(authority);
    EVP_PKEY_free(key);
    EVP_PKEY_free(authority_key);
}
