// Small words for Node-API: every call checked, every failure an exception that `guarded` turns into a JS one.
#pragma once
#include <node_api.h>
#include <stdint.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace loquent::js {

/** Thrown when a JS exception is pending already. */
struct Pending {};

inline void check(napi_env env, napi_status status) {
  if (status == napi_ok) return;
  bool pending = false;
  napi_is_exception_pending(env, &pending);
  if (pending) throw Pending();
  throw std::runtime_error("Node-API call failed with status " + std::to_string(status));
}

template <size_t N>
struct Arguments {
  napi_value at[N];
  napi_value operator[](size_t i) const { return at[i]; }
};

template <size_t N>
Arguments<N> arguments(napi_env env, napi_callback_info info) {
  Arguments<N> a;
  size_t count = N;
  check(env, napi_get_cb_info(env, info, &count, a.at, nullptr, nullptr));
  return a;
}

inline napi_value undefined(napi_env env) {
  napi_value v;
  check(env, napi_get_undefined(env, &v));
  return v;
}
inline napi_value text(napi_env env, const std::string& s) {
  napi_value v;
  check(env, napi_create_string_utf8(env, s.data(), s.size(), &v));
  return v;
}
inline napi_value number(napi_env env, double d) {
  napi_value v;
  check(env, napi_create_double(env, d, &v));
  return v;
}
inline napi_value get(napi_env env, napi_value object, const char* name) {
  napi_value v;
  check(env, napi_get_named_property(env, object, name, &v));
  return v;
}
inline void set(napi_env env, napi_value object, const char* name, napi_value value) {
  check(env, napi_set_named_property(env, object, name, value));
}
inline double toNumber(napi_env env, napi_value v) {
  double d;
  if (napi_get_value_double(env, v, &d) != napi_ok) throw std::runtime_error("a number was expected");
  return d;
}
/** A whole number in [0, 2^53). */
inline int64_t toInteger(napi_env env, napi_value v) {
  const double d = toNumber(env, v);
  if (!(d >= 0 && d < 9007199254740992.0) || d != static_cast<double>(static_cast<int64_t>(d))) {
    throw std::runtime_error("a whole number was expected");
  }
  return static_cast<int64_t>(d);
}
inline std::string toText(napi_env env, napi_value v) {
  size_t length = 0;
  if (napi_get_value_string_utf8(env, v, nullptr, 0, &length) != napi_ok) throw std::runtime_error("a string was expected");
  std::string s(length, '\0');
  check(env, napi_get_value_string_utf8(env, v, s.data(), length + 1, &length));
  return s;
}

struct Bytes {
  uint8_t* data;
  size_t length;
};

inline Bytes toBuffer(napi_env env, napi_value v) {
  bool is = false;
  check(env, napi_is_arraybuffer(env, v, &is));
  if (!is) throw std::runtime_error("an ArrayBuffer was expected");
  void* data = nullptr;
  size_t length = 0;
  check(env, napi_get_arraybuffer_info(env, v, &data, &length));
  return {static_cast<uint8_t*>(data), length};
}

inline Bytes toTyped(napi_env env, napi_value v, napi_typedarray_type wanted, size_t elementBytes) {
  bool is = false;
  check(env, napi_is_typedarray(env, v, &is));
  if (!is) throw std::runtime_error("a typed array was expected");
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  check(env, napi_get_typedarray_info(env, v, &type, &length, &data, nullptr, nullptr));
  if (type != wanted) throw std::runtime_error("a typed array of another type was expected");
  return {static_cast<uint8_t*>(data), length * elementBytes};
}

/** An object that JS holds and that owns one shared C++ object, with a tag that says which kind. */
template <typename T>
struct Handle {
  static const napi_type_tag tag;

  static napi_value create(napi_env env, std::shared_ptr<T> owned) {
    napi_value object;
    check(env, napi_create_object(env, &object));
    auto* box = new std::shared_ptr<T>(std::move(owned));
    const auto drop = [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<T>*>(data); };
    if (napi_wrap(env, object, box, drop, nullptr, nullptr) != napi_ok) {
      delete box;
      throw std::runtime_error("cannot make a handle");
    }
    check(env, napi_type_tag_object(env, object, &tag));
    return object;
  }

  static std::shared_ptr<T> read(napi_env env, napi_value v) {
    napi_valuetype type;
    check(env, napi_typeof(env, v, &type));
    bool matches = false;
    if (type == napi_object) check(env, napi_check_object_type_tag(env, v, &tag, &matches));
    if (!matches) throw std::runtime_error("a handle of another kind was given");
    void* box = nullptr;
    check(env, napi_unwrap(env, v, &box));
    return *static_cast<std::shared_ptr<T>*>(box);
  }
};

/** Runs `body` and turns what it throws into a JS exception. */
template <napi_value (*body)(napi_env, napi_callback_info)>
napi_value guarded(napi_env env, napi_callback_info info) {
  try {
    return body(env, info);
  } catch (const Pending&) {
  } catch (const std::exception& e) {
    napi_throw_error(env, nullptr, e.what());
  } catch (...) {
    napi_throw_error(env, nullptr, "unknown failure");
  }
  return nullptr;
}

}  // namespace loquent::js
