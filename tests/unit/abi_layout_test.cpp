// The ABI's layout in memory. From the release of 1.0 on, a plugin that was built years ago depends on every
// number here: changing one breaks it. A new member goes to the end of its struct and gets a line here.
#include <doctest/doctest.h>
#include <narwhal/plugin.h>

#include <cstddef>
#include <string_view>
#include <type_traits>

// The numbers hold wherever pointers have eight bytes: x86-64, aarch64, riscv64.
static_assert(sizeof(void*) == 8 && sizeof(std::size_t) == 8 && alignof(std::int64_t) == 8);

#define AT(type, member, offset, size) \
  static_assert(offsetof(type, member) == (offset) && sizeof(type::member) == (size), #type "::" #member)
#define SIZE(type, size) \
  static_assert(sizeof(type) == (size) && std::is_standard_layout_v<type> && std::is_trivially_copyable_v<type>, #type)

AT(narwhal_bytes, data, 0, 8);
AT(narwhal_bytes, size, 8, 8);
SIZE(narwhal_bytes, 16);

AT(narwhal_field, name, 0, 16);
AT(narwhal_field, value, 16, 16);
SIZE(narwhal_field, 32);

AT(narwhal_request, struct_size, 0, 8);
AT(narwhal_request, method, 8, 16);
AT(narwhal_request, target, 24, 16);
AT(narwhal_request, path, 40, 16);
AT(narwhal_request, query, 56, 16);
AT(narwhal_request, prefix, 72, 16);
AT(narwhal_request, scheme, 88, 16);
AT(narwhal_request, authority, 104, 16);
AT(narwhal_request, protocol, 120, 16);
AT(narwhal_request, peer, 136, 16);
AT(narwhal_request, peer_port, 152, 2);
AT(narwhal_request, reserved_0, 154, 2);
AT(narwhal_request, field_count, 156, 4);
AT(narwhal_request, fields, 160, 8);
AT(narwhal_request, body_size, 168, 8);
AT(narwhal_request, started_ns, 176, 8);
AT(narwhal_request, deadline_ns, 184, 8);
AT(narwhal_request, client, 192, 16);
AT(narwhal_request, listener, 208, 16);
AT(narwhal_request, listener_port, 224, 16);
AT(narwhal_request, variables, 240, 8);
AT(narwhal_request, variable_count, 248, 4);
SIZE(narwhal_request, 256);

AT(narwhal_response, struct_size, 0, 8);
AT(narwhal_response, status, 8, 4);
AT(narwhal_response, field_count, 12, 4);
AT(narwhal_response, fields, 16, 8);
AT(narwhal_response, body, 24, 16);
AT(narwhal_response, body_size, 40, 8);
AT(narwhal_response, release, 48, 8);
AT(narwhal_response, release_arg, 56, 8);
AT(narwhal_response, reason, 64, 16);
SIZE(narwhal_response, 80);

AT(narwhal_host, struct_size, 0, 8);
AT(narwhal_host, abi_minor, 8, 4);
AT(narwhal_host, reserved_0, 12, 4);
AT(narwhal_host, server, 16, 16);
AT(narwhal_host, request, 32, 8);
AT(narwhal_host, header, 40, 8);
AT(narwhal_host, variable, 48, 8);
AT(narwhal_host, body, 56, 8);
AT(narwhal_host, body_fd, 64, 8);
AT(narwhal_host, read_body, 72, 8);
AT(narwhal_host, alloc, 80, 8);
AT(narwhal_host, set_user, 88, 8);
AT(narwhal_host, user, 96, 8);
AT(narwhal_host, gone, 104, 8);
AT(narwhal_host, respond, 112, 8);
AT(narwhal_host, start, 120, 8);
AT(narwhal_host, write, 128, 8);
AT(narwhal_host, send_file, 136, 8);
AT(narwhal_host, finish, 144, 8);
AT(narwhal_host, fail, 152, 8);
AT(narwhal_host, log, 160, 8);
AT(narwhal_host, get_extension, 168, 8);
AT(narwhal_host, inform, 176, 8);
AT(narwhal_host, trailers, 184, 8);
AT(narwhal_host, log_text, 192, 8);
AT(narwhal_host, log_descriptor, 200, 8);
AT(narwhal_host, watch, 208, 8);
AT(narwhal_host, flush, 216, 8);
AT(narwhal_host, write_lent, 224, 8);
AT(narwhal_host, log_value, 232, 8);
AT(narwhal_host, replace_worker, 240, 8);
AT(narwhal_host, left_at_once, 248, 8);
SIZE(narwhal_host, 256);

AT(narwhal_boot, struct_size, 0, 8);
AT(narwhal_boot, host, 8, 8);
AT(narwhal_boot, prefix, 16, 16);
AT(narwhal_boot, worker, 32, 4);
AT(narwhal_boot, threads, 36, 4);
AT(narwhal_boot, generation, 40, 8);
AT(narwhal_boot, reserved_0, 48, 8);
AT(narwhal_boot, option, 56, 8);
AT(narwhal_boot, fail, 64, 8);
AT(narwhal_boot, workers, 72, 4);
AT(narwhal_boot, set_flags, 80, 8);
SIZE(narwhal_boot, 88);

AT(narwhal_option, key, 0, 8);
AT(narwhal_option, type, 8, 8);
AT(narwhal_option, fallback, 16, 8);
AT(narwhal_option, help, 24, 8);
AT(narwhal_option, flags, 32, 8);
SIZE(narwhal_option, 40);

AT(narwhal_plugin, struct_size, 0, 8);
AT(narwhal_plugin, abi_minor, 8, 4);
AT(narwhal_plugin, flags, 12, 4);
AT(narwhal_plugin, name, 16, 8);
AT(narwhal_plugin, version, 24, 8);
AT(narwhal_plugin, options, 32, 8);
AT(narwhal_plugin, preload, 40, 8);
AT(narwhal_plugin, worker_init, 48, 8);
AT(narwhal_plugin, ready_check, 56, 8);
AT(narwhal_plugin, thread_init, 64, 8);
AT(narwhal_plugin, thread_exit, 72, 8);
AT(narwhal_plugin, handle, 80, 8);
AT(narwhal_plugin, cancel, 88, 8);
AT(narwhal_plugin, drain, 96, 8);
AT(narwhal_plugin, worker_exit, 104, 8);
AT(narwhal_plugin, before_fork, 112, 8);
AT(narwhal_plugin, after_fork, 120, 8);
AT(narwhal_plugin, stuck, 128, 8);
AT(narwhal_plugin, template_exit, 136, 8);
AT(narwhal_plugin, slow, 144, 8);
AT(narwhal_plugin, writable, 152, 8);
SIZE(narwhal_plugin, 160);

TEST_CASE("abi: versions, codes, flags and levels keep their numbers") {
  CHECK(NARWHAL_ABI_MAJOR == 1);
  CHECK(NARWHAL_ABI_MINOR == 0);
  CHECK(NARWHAL_OK == 0);
  CHECK(NARWHAL_DEFERRED == 1);
  CHECK(NARWHAL_ERROR == -1);
  CHECK(NARWHAL_GONE == -2);
  CHECK(NARWHAL_AGAIN == -3);
  CHECK(NARWHAL_STATE == -4);
  CHECK(NARWHAL_REFUSED == -5);
  CHECK(NARWHAL_NO_APP == -6);
  CHECK(NARWHAL_NOWAIT == 1u);
  CHECK(NARWHAL_INLINE == 1u);
  CHECK(NARWHAL_STREAM_BODY == 2u);
  CHECK(NARWHAL_LOG_DEBUG == 0);
  CHECK(NARWHAL_LOG_CRITICAL == 4);
}

TEST_CASE("abi: a member is there only when the other side's size covers it whole") {
  narwhal_response response{};
  response.struct_size = offsetof(narwhal_response, release);
  CHECK(NARWHAL_HAS(&response, narwhal_response, body_size));
  CHECK_FALSE(NARWHAL_HAS(&response, narwhal_response, release));
  response.struct_size = offsetof(narwhal_response, release) + sizeof response.release - 1;
  CHECK_FALSE(NARWHAL_HAS(&response, narwhal_response, release));
  response.struct_size += 1;
  CHECK(NARWHAL_HAS(&response, narwhal_response, release));
}

extern "C" const narwhal_plugin* plugin_from_c11(void);

TEST_CASE("abi: a plugin written in C11 looks the same from C++") {
  const narwhal_plugin* plugin = plugin_from_c11();
  CHECK(plugin->struct_size == sizeof(narwhal_plugin));
  CHECK(std::string_view(plugin->name) == "from_c11");
  CHECK(plugin->handle(nullptr, nullptr) == NARWHAL_ERROR);
  CHECK(std::string_view(plugin->options[0].key) == "one");
  CHECK(plugin->options[1].key == nullptr);
}
