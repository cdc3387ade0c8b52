// Just enough JSON for a policy: reading the settings and the arguments that the host hands over. The host wrote them,
// so they are well formed, with every key once; whatever looks otherwise is a trap, which the host never reads as consent.
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>

// The text of one value. `at` is NULL when there is none.
typedef struct {
  const char *at, *end;
} json_t;

// The value that this text is.
json_t json_read(const char *text, size_t length);

// The first thing in an object; and from there the next. False when there is no more.
//   json_t rest = json_members(object), key, value;
//   while (json_next(&rest, &key, &value)) ...
json_t json_members(json_t object);
bool json_next(json_t *rest, json_t *key, json_t *value);

// The member of an object.
json_t json_member(json_t object, const char *key);

// Whether it is this string. Only for strings without escapes, such as keys and names of tools.
bool json_is(json_t value, const char *text);

// What a value is, if it is of that type.
bool json_bool(json_t value, bool *out);
bool json_whole(json_t value, unsigned *out);  // a whole number below 2^32
bool json_text(json_t value, char **out);      // UTF-8, ends with a zero byte, to be freed

#endif
