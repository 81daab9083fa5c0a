"""The console's page."""

from typing import Any

from django.contrib.auth.mixins import LoginRequiredMixin
from django.views.generic import TemplateView


class ConsoleView(LoginRequiredMixin, TemplateView):
    template_name = "console.html"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        may_submit = self.request.user.has_perm("commands.add_command")
        return super().get_context_data(can_submit=may_submit, **kwargs)
