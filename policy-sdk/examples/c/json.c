// See json.h.
#include "json.h"

#include <stdlib.h>
#include <string.h>

#define TRAP() __builtin_trap()

static const char *space(const char *at, const char *end) {
  while (at < end && strchr(" \t\r\n", *at)) at++;
  return at;
}

// Behind the string that starts here.
static const char *skip_string(const char *at, const char *end) {
  if (at == end || *at != '"') TRAP();
  for (at++; at < end && *at != '"'; at++) {
    if (*at == '\\') at++;
  }
  if (at >= end) TRAP();
  return at + 1;
}

// Behind the value that starts here.
static const char *skip_value(const char *at, const char *end) {
  if (at < end && *at == '"') return skip_string(at, end);
  const char *start = at;
  unsigned depth = 0;
  while (at < end) {
    if (*at == '"') {
      at = skip_string(at, end);
      continue;
    }
    if (*at == '{' || *at == '[') depth++;
    if (*at == '}' || *at == ']' || *at == ',') {
      if (depth == 0) break;  // the end of what this value is in
      if (*at != ',' && --depth == 0) return at + 1;
    }
    at++;
  }
  if (depth || at == start) TRAP();
  while (strchr(" \t\r\n", at[-1])) at--;
  return at;
}

json_t json_read(const char *text, size_t length) {
  const char *end = text + length, *at = space(text, end);
  return (json_t){at, skip_value(at, end)};
}

json_t json_members(json_t object) {
  if (!object.at || *object.at != '{') TRAP();
  return (json_t){object.at + 1, object.end - 1};
}

bool json_next(json_t *rest, json_t *key, json_t *value) {
  const char *at = space(rest->at, rest->end);
  if (at < rest->end && *at == ',') at = space(at + 1, rest->end);
  if (at == rest->end) return false;
  *key = (json_t){at, skip_string(at, rest->end)};
  at = space(key->end, rest->end);
  if (at == rest->end || *at != ':') TRAP();
  at = space(at + 1, rest->end);
  *value = (json_t){at, skip_value(at, rest->end)};
  rest->at = value->end;
  return true;
}

json_t json_member(json_t object, const char *name) {
  json_t rest = json_members(object), key, value;
  while (json_next(&rest, &key, &value)) {
    if (json_is(key, name)) return value;
  }
  return (json_t){NULL, NULL};
}

bool json_is(json_t value, const char *text) {
  size_t length = strlen(text);
  return value.at && *value.at == '"' && (size_t)(value.end - value.at) == length + 2 &&
         memcmp(value.at + 1, text, length) == 0;
}

static bool literal(json_t value, const char *text) {
  size_t length = strlen(text);
  return value.at && (size_t)(value.end - value.at) == length && memcmp(value.at, text, length) == 0;
}

bool json_bool(json_t value, bool *out) {
  *out = literal(value, "true");
  return *out || literal(value, "false");
}

bool json_whole(json_t value, unsigned *out) {
  if (!value.at) return false;
  *out = 0;
  for (const char *at = value.at; at < value.end; at++) {
    if (*at < '0' || *at > '9') return false;
    if (__builtin_mul_overflow(*out, 10, out) || __builtin_add_overflow(*out, *at - '0', out)) return false;
  }
  return true;
}

static unsigned hex(const char *at, const char *end) {
  if (end - at < 4) TRAP();
  unsigned code = 0;
  for (int i = 0; i < 4; i++) {
    const char *digits = "0123456789abcdef", *digit = at[i] ? strchr(digits, at[i] | 0x20) : NULL;
    if (!digit) TRAP();
    code = code << 4 | (unsigned)(digit - digits);
  }
  return code;
}

static char *utf8(char *to, unsigned code) {
  if (code < 0x80) {
    *to++ = (char)code;
    return to;
  }
  if (code >= 0x10000) {
    *to++ = (char)(0xf0 | code >> 18);
    *to++ = (char)(0x80 | (code >> 12 & 0x3f));
  } else if (code >= 0x800) {
    *to++ = (char)(0xe0 | code >> 12);
  }
  *to++ = (char)(code >= 0x800 ? 0x80 | (code >> 6 & 0x3f) : 0xc0 | code >> 6);
  *to++ = (char)(0x80 | (code & 0x3f));
  return to;
}

bool json_text(json_t value, char **out) {
  if (!value.at || *value.at != '"') return false;
  const char *at = value.at + 1, *end = value.end - 1;
  char *to = malloc((size_t)(end - at) + 1);  // no escape is shorter than what it stands for
  if (!to) TRAP();
  *out = to;
  while (at < end) {
    if (*at != '\\') {
      *to++ = *at++;
      continue;
    }
    const char *names = "\"\\/bfnrt", *stands = "\"\\/\b\f\n\r\t", *name = strchr(names, at[1]);
    at += 2;
    if (name && *name) {
      *to++ = stands[name - names];
    } else if (at[-1] == 'u') {
      unsigned code = hex(at, end);
      at += 4;
      if (code >= 0xd800 && code < 0xdc00) {  // the first half of a pair
        if (end - at < 6) TRAP();
        code = 0x10000 + ((code - 0xd800) << 10 | (hex(at + 2, end) - 0xdc00));
        at += 6;
      }
      to = utf8(to, code);
    } else {
      TRAP();
    }
  }
  *to = 0;
  return true;
}
