// `tidy-titles`: the title of a task is short and does not shout.
#include <stdlib.h>
#include <string.h>

#include "bindings/policy.h"
#include "json.h"

// What the operator may set. `configure` fills this in once; the host takes a snapshot of the whole memory, and every
// evaluation starts from it.
static struct {
  unsigned max_characters;
  bool allow_shouting;
} settings = {.max_characters = 80, .allow_shouting = false};

// Fewer capitals than this may be an abbreviation.
enum { SHOUTING_CAPITALS = 8 };

// Everything in an answer has to be on the heap: the bindings free it when the host has read it.
static policy_string_t text(const char *from) {
  policy_string_t copy;
  policy_string_dup(&copy, from);
  return copy;
}

bool exports_metadata_configure(exports_metadata_json_t *given, exports_metadata_description_t *description,
                                policy_list_string_t *complaints) {
  const char *complaint = NULL;
  json_t rest = json_members(json_read((const char *)given->ptr, given->len)), key, value;
  while (json_next(&rest, &key, &value)) {
    if (json_is(key, "max_characters")) {
      if (!json_whole(value, &settings.max_characters) || settings.max_characters == 0)
        complaint = "`max_characters` is not a whole number from 1";
    } else if (json_is(key, "allow_shouting")) {
      if (!json_bool(value, &settings.allow_shouting)) complaint = "`allow_shouting` is neither true nor false";
    } else {
      complaint = "there are only the settings `max_characters` and `allow_shouting`";
    }
  }
  if (complaint) {
    complaints->len = 1;
    complaints->ptr = malloc(sizeof *complaints->ptr);
    if (!complaints->ptr) abort();
    complaints->ptr[0] = text(complaint);
    return false;
  }
  *description = (exports_metadata_description_t){
      .name = text("tidy-titles"),
      .version = text("1.0.0"),
      .summary = text("the title of a task is short and does not shout"),
      .facts = {NULL, 0},  // needs to know nothing but the call
  };
  return true;
}

static unsigned characters(const char *of) {
  unsigned count = 0;
  for (; *of; of++) count += (*of & 0xc0) != 0x80;  // bytes that start a character in UTF-8
  return count;
}

static bool shouts(const char *title) {
  unsigned capitals = 0;
  for (; *title; title++) {
    if (*title >= 'a' && *title <= 'z') return false;
    capitals += *title >= 'A' && *title <= 'Z';
  }
  return capitals >= SHOUTING_CAPITALS;
}

// Without stdio, which would ask an operating system for a file to print to.
static char *decimal(char *to, unsigned number) {
  if (number >= 10) to = decimal(to, number / 10);
  *to++ = (char)('0' + number % 10);
  return to;
}

static void deny(exports_authorizer_verdict_t *verdict, const char *code, const char *message) {
  verdict->tag = EXPORTS_TYPES_VERDICT_DENY;
  verdict->val.deny = (exports_types_reason_t){.code = text(code), .message = text(message), .notes = {NULL, 0}};
}

void exports_authorizer_authorize(exports_authorizer_tool_call_t *call, exports_authorizer_list_fact_t *facts,
                                  exports_authorizer_verdict_t *verdict) {
  (void)facts;
  verdict->tag = EXPORTS_TYPES_VERDICT_ABSTAIN;
  const char tool[] = "create_task";
  if (call->tool.len != strlen(tool) || memcmp(call->tool.ptr, tool, call->tool.len) != 0) return;

  char *title;
  json_t arguments = json_read((const char *)call->arguments.ptr, call->arguments.len);
  if (!json_text(json_member(arguments, "title"), &title)) abort();  // it has one, says the tool's schema

  unsigned length = characters(title);
  if (length > settings.max_characters) {
    char message[160], *end = message;
    end = decimal(stpcpy(end, "the title has "), length);
    end = decimal(stpcpy(end, " characters, at most "), settings.max_characters);
    strcpy(end, " are allowed: say the rest in description");
    deny(verdict, "title_too_long", message);
  } else if (!settings.allow_shouting && shouts(title)) {
    deny(verdict, "title_shouts", "the title is all capitals: write it as a sentence, and say in priority what is urgent");
  }
}
