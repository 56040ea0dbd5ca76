# seam_add_test(KIND.NAME source...)
#
# A test executable NAME on the framework of tests/check, linked with the static library so that
# internals are in reach, and run by ctest as KIND.NAME with the label KIND.
function(seam_add_test test)
    string(REGEX MATCH "^([^.]+)\\.(.+)$" matched ${test})
    set(kind ${CMAKE_MATCH_1})
    set(name ${CMAKE_MATCH_2})
    add_executable(${name} ${ARGN})
    target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src)
    target_link_libraries(${name} PRIVATE seam check seam_warnings)
    add_test(NAME ${test} COMMAND ${name})
    set_tests_properties(${test} PROPERTIES TIMEOUT ${SEAM_TEST_TIMEOUT} LABELS ${kind}
        SKIP_RETURN_CODE 77)
endfunction()
