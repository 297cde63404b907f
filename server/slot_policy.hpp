// What the master does about a worker: a table, without clock, fork or kill, so that each cell is a unit test.
// A report that makes no sense in the current state (a worker may send anything) changes nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace narwhal::server {

// The state of one worker process.
enum class Life : std::uint8_t {
  spawning,  // its fork is ordered; no report yet, its pid is unknown
  booting,   // has sent hello
  ready,     // waits for its generation to be admitted
  serving,
  expired,   // serves, but has passed a limit such as max_requests: replaced when its turn has come
  outgoing,  // serves, but has given up its place: retired as soon as its replacement serves
  draining,  // ordered to finish its requests and leave
  quitting,  // ordered to leave at once
  aborting,  // hangs, at boot or in its loop: SIGABRT sent, so that it logs where
  lost,      // its socket is closed: it is about to be reaped, or of no use
  killed,    // SIGKILL sent
  gone,      // reaped, or ended before it had a pid
};
constexpr std::size_t life_count = 12;

enum class Event : std::uint8_t {
  hello,
  ready,
  admit,     // its generation accepts from now on
  expired,   // it asks to be replaced when its turn has come
  give_way,  // it is to be replaced now: it is stuck, or its turn has come
  leaves,    // an operator has ended it by a signal: it drains without an order
  retire,    // this worker is not needed any more
  quit,      // the server stops quickly, or the worker's generation is discarded
  silent,    // no heartbeat for heartbeat_timeout
  late,      // the time limit of its state has passed
  closed,    // end of file on its socket
  exited,    // reaped, or end of file before it had a pid
};
constexpr std::size_t event_count = 12;

enum class Action : std::uint8_t { none, accept, drain, quit, abort, kill };

struct Step {
  Life next;
  Action action;
  constexpr bool operator==(const Step&) const = default;
};

constexpr Step step(Life life, Event event) {
  using enum Life;
  using enum Action;
  // A worker that never accepted has nothing to drain: if retired, it quits.
  constexpr Step table[life_count][event_count] = {
      // clang-format off
      //              hello             ready             admit              expired           give_way          leaves            retire                    quit                      silent             late               closed            exited
      /* spawning */ {{booting, none},  {spawning, none}, {spawning, none},  {spawning, none}, {spawning, none}, {spawning, none}, {quitting, Action::quit}, {quitting, Action::quit}, {spawning, none},  {killed, kill},    {spawning, none}, {gone, none}},
      /* booting  */ {{booting, none},  {ready, none},    {booting, none},   {booting, none},  {booting, none},  {booting, none},  {quitting, Action::quit}, {quitting, Action::quit}, {booting, none},   {aborting, abort}, {lost, none},     {gone, none}},
      /* ready    */ {{ready, none},    {ready, none},    {serving, accept}, {ready, none},    {ready, none},    {ready, none},    {quitting, Action::quit}, {quitting, Action::quit}, {ready, none},     {ready, none},     {lost, none},     {gone, none}},
      /* serving  */ {{serving, none},  {serving, none},  {serving, none},   {expired, none},  {outgoing, none}, {draining, none}, {draining, drain},        {quitting, Action::quit}, {aborting, abort}, {serving, none},   {lost, none},     {gone, none}},
      /* expired  */ {{expired, none},  {expired, none},  {expired, none},   {expired, none},  {outgoing, none}, {draining, none}, {draining, drain},        {quitting, Action::quit}, {aborting, abort}, {expired, none},   {lost, none},     {gone, none}},
      /* outgoing */ {{outgoing, none}, {outgoing, none}, {outgoing, none},  {outgoing, none}, {outgoing, none}, {draining, none}, {draining, drain},        {quitting, Action::quit}, {aborting, abort}, {outgoing, none},  {lost, none},     {gone, none}},
      /* draining */ {{draining, none}, {draining, none}, {draining, none},  {draining, none}, {draining, none}, {draining, none}, {draining, none},         {quitting, Action::quit}, {aborting, abort}, {killed, kill},    {draining, none}, {gone, none}},
      /* quitting */ {{quitting, none}, {quitting, none}, {quitting, none},  {quitting, none}, {quitting, none}, {quitting, none}, {quitting, none},         {quitting, none},         {quitting, none},  {killed, kill},    {quitting, none}, {gone, none}},
      /* aborting */ {{aborting, none}, {aborting, none}, {aborting, none},  {aborting, none}, {aborting, none}, {aborting, none}, {aborting, none},         {aborting, none},         {aborting, none},  {killed, kill},    {aborting, none}, {gone, none}},
      /* lost     */ {{lost, none},     {lost, none},     {lost, none},      {lost, none},     {lost, none},     {lost, none},     {lost, none},             {killed, kill},           {lost, none},      {killed, kill},    {lost, none},     {gone, none}},
      /* killed   */ {{killed, none},   {killed, none},   {killed, none},    {killed, none},   {killed, none},   {killed, none},   {killed, none},           {killed, none},           {killed, none},    {killed, none},    {killed, none},   {gone, none}},
      /* gone     */ {{gone, none},     {gone, none},     {gone, none},      {gone, none},     {gone, none},     {gone, none},     {gone, none},             {gone, none},             {gone, none},      {gone, none},      {gone, none},     {gone, none}},
      // clang-format on
  };
  return table[static_cast<std::size_t>(life)][static_cast<std::size_t>(event)];
}

// Which time limit starts when a worker enters a state.
enum class Limit : std::uint8_t {
  none,
  boot,      // boot_timeout, from the order to fork
  running,   // the current limit continues: hello does not give a worker more time to boot
  graceful,  // graceful_timeout
  quick,     // quick_stop
  moment,    // one second
};

constexpr Limit limit_of(Life life) {
  switch (life) {
    case Life::spawning: return Limit::boot;
    case Life::booting: return Limit::running;
    case Life::draining: return Limit::graceful;
    case Life::quitting: return Limit::quick;
    case Life::aborting:
    case Life::lost: return Limit::moment;
    case Life::ready:
    case Life::serving:
    case Life::expired:
    case Life::outgoing:
    case Life::killed:
    case Life::gone: return Limit::none;
  }
  return Limit::none;
}

// Whether its place is free for another worker, although the process may live for a while.
constexpr bool frees_its_place(Life life) {
  return life == Life::outgoing || life == Life::draining || life == Life::quitting;
}

// Clients are answered: it accepts, and its generation has been admitted.
constexpr bool accepts(Life life) { return life == Life::serving || life == Life::expired || life == Life::outgoing; }

// How many workers may be outgoing because they have expired: one in eight. Each has a successor that boots beside it,
// which costs memory and processor time.
constexpr std::size_t outgoing_max(unsigned target) { return target < 16 ? 1 : target / 8; }

constexpr bool is_booting(Life life) { return life == Life::spawning || life == Life::booting; }

constexpr const char* life_name(Life life) {
  constexpr const char* names[life_count] = {"spawning", "booting",  "ready",    "serving", "expired", "outgoing",
                                             "draining", "quitting", "aborting", "lost",    "killed",  "gone"};
  return names[static_cast<std::size_t>(life)];
}

}  // namespace narwhal::server
