"""What every part of an ensemble is worth: members are fitted and look once, variants are fused from that.

`ablation` is the order of things: `settings` says what varies, `plan` lists the variants, `adopting` takes
members out of finished runs, `recording` keeps what voters saw and `costs` how long it took, `artificial`
chooses a member without test images, `trials` fuses one variant and `measuring` measures it, `results` keeps
the rows, `conclusions` compares them, `writing` and `picture` put all in a `folder`.
"""
