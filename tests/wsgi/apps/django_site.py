"""A Django project in one file: the admin site, static files by Django's view, forms with their token, files, streams.

    python3 django_site.py DATABASE    makes the database, with the user admin (password: secret)
"""
import hashlib
import os
import sys

import django
from django.conf import settings

SHARED = os.environ.get("TRIAL_SHARED", "/nowhere")

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["*"],
    SECRET_KEY="a fixed key, for a test",
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.admin", "django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions",
                    "django.contrib.messages", "django.contrib.staticfiles"],
    MIDDLEWARE=["django.middleware.security.SecurityMiddleware", "django.contrib.sessions.middleware.SessionMiddleware",
                "django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware",
                "django.contrib.auth.middleware.AuthenticationMiddleware",
                "django.contrib.messages.middleware.MessageMiddleware",
                "django.middleware.clickjacking.XFrameOptionsMiddleware",
                "django.middleware.http.ConditionalGetMiddleware"],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True, "OPTIONS": {
        "context_processors": ["django.template.context_processors.request", "django.contrib.auth.context_processors.auth",
                               "django.contrib.messages.context_processors.messages"]}}],
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ.get(
        "TRIAL_DATABASE", os.path.join(os.environ.get("TRIAL_FOLDER", "/nowhere"), "db.sqlite3"))}},
    PASSWORD_HASHERS=["django.contrib.auth.hashers.MD5PasswordHasher"],
    DEFAULT_AUTO_FIELD="django.db.models.AutoField",
    STATIC_URL="/static/",
    USE_TZ=True,
    LOGGING={"version": 1, "handlers": {"stderr": {"class": "logging.StreamHandler"}},
             "loggers": {"django.request": {"handlers": ["stderr"]}}},
    FILE_UPLOAD_MAX_MEMORY_SIZE=100_000,
    # As Gunicorn's secure_scheme_headers: https where the proxy in front sends this field.
    SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
)
django.setup()

from django import forms  # noqa: E402
from django.contrib import admin  # noqa: E402
from django.contrib.staticfiles.views import serve as serve_static  # noqa: E402
from django.core.exceptions import PermissionDenied  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.http import FileResponse, HttpResponse, HttpResponseRedirect, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.template import engines  # noqa: E402
from django.urls import path, re_path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.static import serve as serve_file  # noqa: E402


class Message(forms.Form):
    name = forms.CharField(max_length=20)
    file = forms.FileField(required=False)


PAGE = """<h1>{{ title }}</h1><form method="post" enctype="multipart/form-data">{% csrf_token %}{{ form.as_p }}</form>"""


def index(request):
    return HttpResponse("Hello, World!")


def message(request):
    form = Message(request.POST or None, request.FILES or None)
    if request.method == "POST" and form.is_valid():
        file = form.cleaned_data["file"]
        told = [file.name, file.size, hashlib.sha256(b"".join(file.chunks())).hexdigest(),
                type(file).__name__] if file else None
        return JsonResponse({"name": form.cleaned_data["name"], "file": told}, status=201)
    return HttpResponse(engines["django"].from_string(PAGE).render({"title": "Message", "form": form}, request))


def about(request):
    return JsonResponse({"method": request.method, "path": request.path, "info": request.path_info,
                         "query": request.META["QUERY_STRING"], "uri": request.build_absolute_uri(),
                         "secure": request.is_secure(), "host": request.get_host(), "get": dict(request.GET.lists()),
                         "headers": dict(request.headers)})


@csrf_exempt
def echo(request):
    return JsonResponse({"length": len(request.body), "sha256": hashlib.sha256(request.body).hexdigest(),
                         "type": request.content_type, "post": dict(request.POST.lists())})


@csrf_exempt
def reads_lines(request):
    return JsonResponse({"lines": [len(line) for line in request]})


def stream(request):
    return StreamingHttpResponse((f"line {number}\n" for number in range(300)), content_type="text/plain")


def download(request):
    name = request.GET.get("name", "blob.bin")
    return FileResponse(open(os.path.join(SHARED, "blob.bin"), "rb"), as_attachment=True, filename=name)


def session(request):
    request.session["visits"] = request.session.get("visits", 0) + 1
    return HttpResponse(f"visit {request.session['visits']}")


def refused(request):
    raise PermissionDenied("no")


def boom(request):
    raise RuntimeError("boom")


def odd_status(request):
    return HttpResponse("odd", status=299, reason="Quite Odd")


urlpatterns = [
    path("", index), path("admin/", admin.site.urls), path("message/", message), path("about/", about), path("echo/", echo),
    path("lines/", reads_lines), path("stream/", stream), path("download/", download), path("session/", session),
    path("refused/", refused), path("boom/", boom), path("odd/", odd_status),
    path("moved/", lambda request: HttpResponseRedirect("/about/?x=é")),
    re_path(r"^static/(?P<path>.*)$", serve_static, {"insecure": True}),
    re_path(r"^files/(?P<path>.*)$", serve_file, {"document_root": SHARED, "show_indexes": False}),
]
application = get_wsgi_application()

if __name__ == "__main__":
    from django.core.management import call_command
    settings.DATABASES["default"]["NAME"] = sys.argv[1]
    call_command("migrate", verbosity=0)
    from django.contrib.auth.models import Group, User
    User.objects.create_superuser("admin", "admin@example.org", "secret")
    User.objects.bulk_create(User(username=f"user{number:03}", email=f"user{number}@example.org", first_name="Zoë")
                             for number in range(120))
    Group.objects.create(name="editors")
