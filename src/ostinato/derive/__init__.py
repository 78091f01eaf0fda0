"""From one definition: its adjoint, readable sources, kernels, equations and cost."""
