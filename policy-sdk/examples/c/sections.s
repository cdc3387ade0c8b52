# Two custom sections of the component: the types of its world, which the linker needs to wrap the core module (the same
# bytes that Rust policies link), and the test cases, which the host runs.
  .section ".custom_section.component-type:authorization","",@
  .incbin "authorization.bin"
  .section ".custom_section.team-table:cases","",@
  .incbin "cases.toml"

# The bindings call this to be sure that the linker takes this file along.
  .section .text.force_link,"",@
  .globl __component_type_object_force_link_policy
  .type __component_type_object_force_link_policy,@function
__component_type_object_force_link_policy:
  .functype __component_type_object_force_link_policy () -> ()
  end_function
