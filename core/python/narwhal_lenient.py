"""Attributes of Gunicorn's objects that narwhal does not have or whose change has no effect: a warning, not an error.

The names are those of Gunicorn 20.1 to 26.1, without what narwhal's own classes have.
"""
ARBITER_NAMES = frozenset("""
    PIPE SIGNALS SIG_NAMES SIG_QUEUE WAKEUP_REQUEST dirty_arbiter_pid dirty_pidfile handle_chld handle_cld
    handle_dirty_arbiter_exit handle_hup handle_int handle_quit handle_term handle_ttin handle_ttou handle_usr1 handle_usr2
    handle_winch init_signals kill_dirty_arbiter manage_dirty_arbiter manage_workers maybe_promote_master murder_workers
    reap_dirty_arbiter reap_workers reexec run setup signal signal_chld sleep spawn_dirty_arbiter spawn_worker spawn_workers
    start wait_for_signals""".split())
WORKER_NAMES = frozenset("""
    PIPE SIGNALS accept check_config enqueue_req finish_request futures get_thread_pool handle handle_abort handle_error
    handle_exit handle_http2 handle_http2_request handle_quit handle_request handle_usr1 handle_winch init_process
    init_signals is_parent_alive keepalived_conns load_wsgi max_keepalived method_queue murder_keepalived murder_pending
    nr_conns on_client_socket_readable on_pending_socket_readable pending_conns poller reuse_connection run
    run_for_multiple run_for_one set_accept_enabled setup socket tpool wait wait_fds
    wait_for_and_dispatch_events""".split())
APPLICATION_NAMES = frozenset("""
    app_uri cfg chdir do_load_config get_config_from_filename get_config_from_module_name init load load_config
    load_config_from_file load_config_from_module_name_or_filename load_default_config load_pasteapp load_wsgiapp logger prog
    reload run usage""".split())
REQUEST_NAMES = frozenset("""
    body cfg get_data limit_request_field_size limit_request_fields limit_request_line max_buffer_headers parse
    parse_headers parse_proxy_protocol parse_request_line proxy_protocol proxy_protocol_access_check proxy_protocol_info
    read_bytes read_into read_line req_number set_body_reader trailers unreader""".split())
RESPONSE_NAMES = frozenset("""
    can_sendfile cfg close default_headers force_close must_close process_headers req send_headers sendfile sent sock
    start_response upgrade version write write_file""".split())
LOGGER_NAMES = frozenset("""
    access access_fmt access_handlers access_log_enabled atoms atoms_wrapper_class cfg datefmt error_fmt error_handlers lock
    logfile setup syslog_fmt""".split())

warned = set()


class Lenient:
    """An attribute that Gunicorn's object has and this one lacks is None, with one warning: it must not keep a server from
    starting. Any other name is an AttributeError, as in Gunicorn."""

    gunicorns_names = frozenset()

    def __getattr__(self, name):
        if name not in self.gunicorns_names:
            raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")
        self._warn_once(name, "Hooks: narwhal does not have '%s': it is None")
        return None

    def _warn_once(self, name, text):
        shown = f"{type(self).__name__.lower()}.{name}"
        log = self._where_to_warn()
        if log and (shown, text) not in warned:
            warned.add((shown, text))
            log.warning(text, shown)

    def _where_to_warn(self):
        return vars(self).get("log")


class Reported:
    """An attribute that reports what is so. A hook may assign another value; that has no effect but on later reads."""

    def __init__(self, read, why="the server does not read it back"):
        self.read, self.text = read, f"Hooks: '%s' was assigned, which has no effect: {why}"

    def __set_name__(self, owner, name):
        self.name = name

    def __get__(self, item, owner=None):
        if item is None:
            return self
        return vars(item)[self.name] if self.name in vars(item) else self.read(item)

    def __set__(self, item, value):
        item._warn_once(self.name, self.text)
        vars(item)[self.name] = value
