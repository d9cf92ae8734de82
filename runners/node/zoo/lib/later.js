module.exports = 'later'
