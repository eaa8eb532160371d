"""The conformance kit: what every detector must do, as checks that strangers run on theirs.

```python
from leatherens.testing import parametrize_members
from leatherens_grain.flow import GrainFlow

@parametrize_members(GrainFlow)
def test_conforms(check):
    check()
```
"""

from __future__ import annotations

from leatherens.testing.kit import CheckResult, check_member, checked, member_checks, parametrize_members
from leatherens.testing.reader_checks import On

__all__ = ["CheckResult", "On", "check_member", "checked", "member_checks", "parametrize_members"]
