# seam_add_unit_test(name source... [VARIANTS])
#
# A test program that sees the library's internals, and its ctest entry unit.NAME. With VARIANTS it
# also runs as unit.NAME.GUARD, once for each way to guard stacks. Exit 77 means skipped.
function(seam_add_unit_test name)
    cmake_parse_arguments(PARSE_ARGV 1 arg "VARIANTS" "" "")
    add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE seam check seam_variant seam_warnings Threads::Threads)
    seam_register_test(unit.${name} ${name} "")
    if(arg_VARIANTS)
        foreach(guard madvise mprotect canary)
            seam_register_test(unit.${name}.${guard} ${name} SEAM_TEST_GUARD=${guard})
        endforeach()
    endif()
endfunction()

function(seam_register_test entry command environment)
    add_test(NAME ${entry} COMMAND ${command})
    set_tests_properties(${entry} PROPERTIES TIMEOUT 120 LABELS unit SKIP_RETURN_CODE 77
        ENVIRONMENT "${environment}")
endfunction()
