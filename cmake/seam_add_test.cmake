# seam_add_test(KIND.NAME source... [VARIANTS])
#
# A test executable NAME on the framework of tests/check, linked with the static library so that
# internals are in reach, and run by ctest as KIND.NAME with the label KIND. With VARIANTS it also
# runs as KIND.NAME.GUARD, once for each way to guard stacks. Exit 77 means skipped.
function(seam_add_test test)
    cmake_parse_arguments(PARSE_ARGV 1 arg "VARIANTS" "" "")
    string(REGEX MATCH "^([^.]+)\\.(.+)$" matched ${test})
    set(kind ${CMAKE_MATCH_1})
    set(name ${CMAKE_MATCH_2})
    add_executable(${name} ${arg_UNPARSED_ARGUMENTS})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE seam check seam_variant seam_warnings Threads::Threads)
    seam_register_test(${test} ${kind} ${name} "")
    if(arg_VARIANTS)
        foreach(guard madvise mprotect canary)
            seam_register_test(${test}.${guard} ${kind} ${name} SEAM_TEST_GUARD=${guard})
        endforeach()
    endif()
endfunction()

function(seam_register_test entry kind command environment)
    add_test(NAME ${entry} COMMAND ${command})
    set_tests_properties(${entry} PROPERTIES TIMEOUT ${SEAM_TEST_TIMEOUT} LABELS ${kind}
        SKIP_RETURN_CODE 77 ENVIRONMENT "${environment}")
endfunction()
